//! The bytes we promise: messages of the manifest and the catalog, generated from `proto/proto/manifest.proto`.
//!
//! What enters: nothing. What leaves: prost messages. Deliberately absent: logic; what a message means is said in the
//! `.proto` file, how it becomes a value in `storage/src/manifest`. The build needs no `protoc`: the generated code is
//! committed, and a test here compares it with what the `.proto` gives. To renew it:
//! `MILLRACE_REGENERATE=1 cargo test -p millrace-proto`.

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::as_conversions,
    reason = "generated; its documentation is the .proto file"
)]
#[path = "gen/millrace.manifest.v1.rs"]
pub mod manifest;

pub use prost::{DecodeError, Message};

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Generates the code anew and compares (or, told by the environment, replaces it).
    #[test]
    fn generated_code_is_fresh() {
        let root = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&root);
        let files = protox::compile(["manifest.proto"], [root.join("proto")]).unwrap();
        let out = tempfile::tempdir().unwrap();
        prost_build::Config::new().out_dir(out.path()).compile_fds(files).unwrap();
        let name = "millrace.manifest.v1.rs";
        let fresh = std::fs::read_to_string(out.path().join(name)).unwrap();
        let kept = root.join("src/gen").join(name);
        if std::env::var_os("MILLRACE_REGENERATE").is_some() {
            std::fs::write(&kept, fresh).unwrap();
            return;
        }
        let same = std::fs::read_to_string(&kept).is_ok_and(|text| text == fresh);
        assert!(same, "{} is stale: run MILLRACE_REGENERATE=1 cargo test -p millrace-proto", kept.display());
    }
}
