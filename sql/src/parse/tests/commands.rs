//! Commands that are neither a table nor a source, settings and transactions.

use super::*;

#[test]
fn the_other_commands() {
    let name = |command: &Command| match command {
        Command::PauseSource(name) | Command::ResumeSource(name) | Command::DropSource { name, .. } => {
            name.text.clone()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(name(&command_of("ALTER SOURCE Wiki PAUSE")), "wiki");
    assert_eq!(name(&command_of("ALTER SOURCE \"Wiki\" RESUME;")), "Wiki");
    assert!(matches!(command_of("DROP SOURCE IF EXISTS s"), Command::DropSource { if_exists: true, .. }));
    let Command::DropTable { if_exists, tables, cascade } = command_of("DROP TABLE IF EXISTS a, public.b CASCADE")
    else {
        panic!()
    };
    assert!(if_exists && cascade && tables.len() == 2);
    assert!(matches!(command_of("DROP TABLE a RESTRICT"), Command::DropTable { cascade: false, .. }));
    assert!(matches!(command_of("seal table public.t"), Command::SealTable(RelationName { name, .. }) if name == "t"));
    for (sql, want) in [
        ("SHOW TABLES", ShowWhat::Tables),
        ("show sources", ShowWhat::Sources),
        ("SHOW ALL", ShowWhat::AllSettings),
        ("SHOW TIME ZONE", ShowWhat::Setting(Name { text: "timezone".into(), at: 6 })),
        ("SHOW TRANSACTION ISOLATION LEVEL", ShowWhat::Setting(Name { text: "transaction_isolation".into(), at: 6 })),
        ("SHOW millrace.wait_for", ShowWhat::Setting(Name { text: "millrace.wait_for".into(), at: 6 })),
        ("SHOW CREATE SOURCE s", ShowWhat::CreateSource(Name { text: "s".into(), at: 20 })),
    ] {
        assert_eq!(command_of(sql), Command::Show(want), "{sql}");
    }
    assert!(matches!(command_of("SHOW CREATE TABLE t"), Command::Show(ShowWhat::CreateTable(_))));
}

#[test]
fn settings_and_transactions() {
    for (sql, name, value, local) in [
        ("SET x.y = 'Ab'", "x.y", SetValue::Text("Ab".into()), false),
        ("SET TIMEZONE TO 'UTC'", "timezone", SetValue::Text("UTC".into()), false),
        ("SET LOCAL TIME ZONE -7", "timezone", SetValue::Text("-7".into()), true),
        ("SET TIME ZONE LOCAL", "timezone", SetValue::Default, false),
        ("SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE", "timezone", SetValue::Text("interval +02:00".into()), false),
        (
            "SET SESSION search_path TO \"$user\", public",
            "search_path",
            SetValue::Text("\"$user\", public".into()),
            false,
        ),
        ("SET DateStyle = ISO, DMY", "datestyle", SetValue::Text("iso, dmy".into()), false),
        ("SET NAMES 'utf8'", "client_encoding", SetValue::Text("utf8".into()), false),
        ("SET jit = DEFAULT", "jit", SetValue::Default, false),
        ("SET a = ON", "a", SetValue::Text("on".into()), false),
        ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY", "transaction", SetValue::Ignored, false),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "session characteristics", SetValue::Ignored, false),
    ] {
        let Command::Set(setting) = command_of(sql) else { panic!("{sql}") };
        assert_eq!((setting.name.text.as_str(), setting.value, setting.local), (name, value, local), "{sql}");
    }
    for (sql, tag) in [
        ("BEGIN", "BEGIN"),
        ("BEGIN TRANSACTION READ ONLY", "BEGIN"),
        ("begin work", "BEGIN"),
        ("START TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION"),
        ("COMMIT", "COMMIT"),
        ("END TRANSACTION", "COMMIT"),
        ("ROLLBACK AND NO CHAIN", "ROLLBACK"),
        ("ABORT", "ROLLBACK"),
    ] {
        let Command::Transaction(word) = command_of(sql) else { panic!("{sql}") };
        assert_eq!(word.tag(), tag, "{sql}");
    }
    assert_eq!(command_of("RESET ALL"), Command::Reset(None));
    assert!(matches!(command_of("RESET a.b"), Command::Reset(Some(name)) if name.text == "a.b"));
    assert_eq!(command_of("DISCARD ALL"), Command::Discard("ALL"));
}
