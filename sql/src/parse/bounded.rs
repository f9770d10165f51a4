//! PostgreSQL's dialect with an end to patience.
//!
//! sqlparser tries alternatives one inside another: some texts of a hundred characters, such as `CAST(CAST(CAST(…`, would
//! take it longer than the universe will last. Each prefix and infix it looks at counts against a budget here.
//!
//! What enters: the number of tokens. What leaves: a dialect for one parse. Deliberately absent: lexical rules, which are
//! asked of [`PostgreSqlDialect`] itself.

use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use std::any::TypeId;
use std::cell::Cell;

/// Looks a token may cost; one is usual, ten are rare.
const STEPS_PER_TOKEN: usize = 100;
const STEPS_MIN: usize = 50_000;

/// PostgreSQL's dialect for one parse.
#[derive(Debug)]
pub(super) struct BoundedDialect {
    inner: PostgreSqlDialect,
    left: Cell<usize>,
}

impl BoundedDialect {
    /// For a statement of so many tokens.
    pub(super) fn new(tokens: usize) -> Self {
        let steps = tokens.saturating_mul(STEPS_PER_TOKEN).saturating_add(STEPS_MIN);
        Self { inner: PostgreSqlDialect {}, left: Cell::new(steps) }
    }

    /// Whether the parser gave up for lack of steps; what it made of the text is then not to be trusted.
    pub(super) fn exhausted(&self) -> bool {
        self.left.get() == 0
    }

    fn step(&self) -> Result<(), ParserError> {
        let left = self.left.get().saturating_sub(1);
        self.left.set(left);
        if left == 0 { Err(ParserError::RecursionLimitExceeded) } else { Ok(()) }
    }
}

/// Answers for PostgreSQL, one method for each that [`PostgreSqlDialect`] answers differently from the default.
macro_rules! as_postgresql {
    ($($method:ident),* $(,)?) => {
        $(fn $method(&self) -> bool {
            self.inner.$method()
        })*
    };
}

impl Dialect for BoundedDialect {
    fn dialect(&self) -> TypeId {
        self.inner.dialect()
    }

    fn parse_prefix(&self, _parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        self.step().err().map(Err)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match self.step() {
            Ok(()) => self.inner.get_next_precedence(parser),
            Err(error) => Some(Err(error)),
        }
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        self.inner.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        self.inner.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        self.inner.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.inner.is_identifier_part(ch)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        self.inner.is_custom_operator_part(ch)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        self.inner.is_reserved_for_identifier(keyword)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        self.inner.prec_value(precedence)
    }

    /// `json_object('label' : value)` is given up: for it every argument would be parsed twice, and so a nest of calls
    /// twice a level.
    fn supports_named_fn_args_with_expr_name(&self) -> bool {
        false
    }

    as_postgresql!(
        supports_unicode_string_literal,
        supports_filter_during_aggregation,
        supports_group_by_expr,
        allow_extract_custom,
        allow_extract_single_quotes,
        supports_create_index_with_clause,
        supports_explain_with_utility_options,
        supports_listen_notify,
        supports_factorial_operator,
        supports_bitwise_shift_operators,
        supports_comment_on,
        supports_load_extension,
        supports_named_fn_args_with_colon_operator,
        supports_empty_projections,
        supports_nested_comments,
        supports_string_escape_constant,
        supports_numeric_literal_underscores,
        supports_array_typedef_with_brackets,
        supports_geometric_types,
        supports_set_names,
        supports_alter_column_type_using,
        supports_notnull_operator,
        supports_interval_options,
        supports_insert_table_alias,
        supports_create_table_like_parenthesized,
        supports_select_wildcard_with_alias,
        supports_comma_separated_trim,
        supports_xml_expressions,
        supports_comment_optimizer_hint,
    );
}
