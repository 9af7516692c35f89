//! New migrations, looked at by squawk's rules: what locks or rewrites a table that is in use, or takes away what the release
//! that serves still uses.
//!
//! A finding is lifted above its statement: `-- squawk-ignore RULE -- REASON`. squawk takes what comes after the second `--` as a
//! comment and does not ask for it; here a reason is required.

mod safe;

use std::collections::BTreeSet;

use anyhow::Result;
use squawk_linter::ignore::ignore_rule_info;
use squawk_linter::{Linter, Rule};
use squawk_syntax::ast::{self, AstNode as _};
use squawk_syntax::{SourceFile, SyntaxKind};

use self::safe::safe_way;
use super::problem::Problem;
use crate::report::Notice;
use crate::tools::sqlx::migrate::Script;

/// The rules: locks and rewrites, what released code still uses, and transactions that sqlx has begun. None is about style. New
/// ones of squawk are not taken unseen.
const RULES: &[Rule] = &[
    Rule::RequireLockTimeout,
    Rule::RequireConcurrentIndexCreation,
    Rule::RequireConcurrentIndexDeletion,
    Rule::RequireConcurrentPartitionDetach,
    Rule::RequireConcurrentReindex,
    Rule::ConstraintMissingNotValid,
    Rule::AddingForeignKeyConstraint,
    Rule::AddingNotNullableField,
    Rule::AddingSerialPrimaryKeyField,
    Rule::DisallowedUniqueConstraint,
    Rule::BanAlterDomainWithAddConstraint,
    Rule::BanTruncateCascade,
    Rule::PreferRepack,
    Rule::AddingFieldWithDefault,
    Rule::AddingRequiredField,
    Rule::ChangingColumnType,
    Rule::BanAlterIdentity,
    Rule::BanDropColumn,
    Rule::BanDropConstraint,
    Rule::BanDropDatabase,
    Rule::BanDropDefault,
    Rule::BanDropDomain,
    Rule::BanDropExtension,
    Rule::BanDropFunction,
    Rule::BanDropGeneratedExpression,
    Rule::BanDropNotNull,
    Rule::BanDropSchema,
    Rule::BanDropSequence,
    Rule::BanDropTable,
    Rule::BanDropTrigger,
    Rule::BanDropType,
    Rule::BanDropView,
    Rule::RenamingColumn,
    Rule::RenamingObject,
    Rule::RenamingTable,
    Rule::BanSetSchema,
    Rule::BanConcurrentIndexCreationInTransaction,
    Rule::BanUncommittedTransaction,
    Rule::TransactionNesting,
];

/// The findings in new migrations, in the order in which they run. A table that one of them creates is empty, so what they do to it
/// is none.
pub fn lint(scripts: &[Script]) -> Result<(Vec<Problem>, Vec<Notice>)> {
    let (mut problems, mut notices, mut created) = (Vec::new(), Vec::new(), BTreeSet::new());
    for script in scripts {
        let parsed = SourceFile::parse(&script.sql);
        if let Some(error) = parsed.errors().first() {
            let line = place(&script.sql, error.range().start().into()).0;
            notices.push(Notice::Warning(format!(
                "{}:{line}: the linter cannot read this ({}), so what follows may not have been looked at",
                script.file,
                error.message()
            )));
        }
        problems.extend(without_reason(script, &parsed.syntax_node()));
        let sql = without_created(&script.sql, &parsed.tree(), &mut created);
        let mut linter = Linter::from(rules(script.is_whole()));
        linter.settings.assume_in_transaction = script.is_whole();
        for found in linter.lint(&SourceFile::parse(&sql), &sql) {
            let (line, column) = place(&sql, found.text_range.start().into());
            // An unknown name in a comment, which lifts nothing.
            if found.code == Rule::UnusedIgnore {
                let text = format!("{}; the names are those of these findings", found.message);
                problems.push(Problem::at(&script.file, line, column, text));
                continue;
            }
            let safe = safe_way(found.code, found.help.as_deref());
            let text = format!("{}: {}\n{safe}", found.code, found.message);
            problems.push(Problem::at(&script.file, line, column, text));
        }
    }
    Ok((problems, notices))
}

/// Outside of a transaction no time limit can be set: `SET` beside the only statement would be a transaction of both.
fn rules(in_transaction: bool) -> impl Iterator<Item = Rule> {
    RULES.iter().copied().filter(move |rule| in_transaction || *rule != Rule::RequireLockTimeout)
}

/// The comments that lift a finding and do not say why, or do not say which.
fn without_reason(script: &Script, root: &squawk_syntax::SyntaxNode) -> Vec<Problem> {
    let mut problems = Vec::new();
    let tokens = root.descendants_with_tokens().filter_map(|element| element.into_token());
    for token in tokens.filter(|token| token.kind() == SyntaxKind::COMMENT) {
        let Some((names, ..)) = ignore_rule_info(&token) else { continue };
        let body = token.text().trim_start_matches(['-', '/', '*']).trim_end_matches(['*', '/']);
        let reason = body.split_once("--").map(|(_, reason)| reason.trim()).unwrap_or_default();
        let text = match (names.trim(), reason) {
            ("", _) => "this lifts every finding; name the rules: -- squawk-ignore RULE -- REASON".to_owned(),
            (names, "") => format!("this gives no reason: -- squawk-ignore {names} -- REASON"),
            _ => continue,
        };
        let (line, column) = place(&script.sql, token.text_range().start().into());
        problems.push(Problem::at(&script.file, line, column, text));
    }
    problems
}

/// The text with blanks instead of the statements about tables that a new migration has created, so that every place stays.
fn without_created(sql: &str, file: &SourceFile, created: &mut BTreeSet<String>) -> String {
    let mut bytes = sql.as_bytes().to_vec();
    for statement in file.stmts() {
        let table = match &statement {
            // One that may be there already is not new.
            ast::Stmt::CreateTable(create) if create.if_not_exists().is_some() => continue,
            ast::Stmt::CreateTable(create) => {
                let name = create.table_name().and_then(|table| table.path()).and_then(|path| path.segment());
                created.extend(name.map(|name| name.text()));
                continue;
            }
            ast::Stmt::AlterTable(alter) => alter.table_relation_name(),
            ast::Stmt::CreateIndex(create) => create.table_relation_name(),
            _ => continue,
        };
        let name = table.and_then(|table| table.table_name_ref()).and_then(|name| name.path_ref());
        if name.and_then(|path| path.segment()).is_some_and(|name| created.contains(&name.text())) {
            let range = statement.syntax().text_range();
            let blank = &mut bytes[range.start().into()..range.end().into()];
            blank.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| sql.to_owned())
}

/// Line and column of a byte, from 1.
fn place(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    (before.matches('\n').count() + 1, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1)
}

#[cfg(test)]
mod tests;
