//! `service.env` of deploy.yaml: the service's variables, where no settings.json declares them.

use super::check;
use super::field::{Field, Table, key};
use super::names::refuse_variable;
use super::settings::{Kind, Setting, SuppliedBy};

/// The variables that announce a socket (sd_listen_fds(3)).
pub const OF_THE_SOCKET: [&str; 3] = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// A variable of the service, as deploy.yaml declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// What a settings.json would say of it.
    pub setting: Setting,
    /// Its value in the environments that have no other.
    pub value: Option<String>,
    /// How many random bytes a generated value has; only where it is generated.
    pub bytes: Option<usize>,
}

/// Every variable, in the order of the names. `port` is the one that names the port.
pub(super) fn variables(field: &Field<'_>, port: Option<&str>) -> Option<Vec<Variable>> {
    let variables = field.map("info", |name, field| {
        let read = variable(name, &field);
        if !check::is_variable(name) {
            return refuse_variable(name, &field, "an environment variable");
        }
        if port == Some(name) {
            return field.refuse_key("is the `port_variable`, which the toolkit sets", "remove it");
        }
        if OF_THE_SOCKET.contains(&name) {
            return field.refuse_key("says that a socket is handed over, which the toolkit does", "remove it");
        }
        read
    });
    Some(variables?.into_values().collect())
}

/// A value, or what is known of the variable. With neither, it has to be set in each environment.
fn variable(name: &str, field: &Field<'_>) -> Option<Variable> {
    let bare = Variable { setting: setting(name), value: None, bytes: None };
    if field.is_empty() {
        return Some(bare);
    }
    if field.is_mapping() {
        return field.table(|table| declared(table, bare));
    }
    let setting = Setting { required: false, ..bare.setting };
    Some(Variable { setting, value: Some(field.scalar()?), bytes: None })
}

fn declared(table: &mut Table<'_>, bare: Variable) -> Option<Variable> {
    let secret = table.optional(
        key("secret", "true", "Whether the value is a secret, which is in .env.ENVIRONMENT or made here.")
            .otherwise("false; true with `generate`"),
        |field| field.flag(),
    );
    let bytes =
        table.optional(key("generate", "32", "How many random bytes a secret has that is made once."), |field| {
            let bytes = field.number("a number of random bytes from 16 to 256", |bytes| (16..=256).contains(bytes));
            match secret {
                Some(Some(false)) => field.refuse("a generated value is secret", "write `secret: true`"),
                _ => bytes,
            }
        });
    let supplied_by =
        table.optional(key("supplied_by", "postgres", "What supplies the value where none is set."), |field| {
            let by = field
                .text(&format!("one of: {}", SuppliedBy::KNOWN.join(", ")), |text| SuppliedBy::read(text).is_some())?;
            match bytes {
                Some(Some(_)) => field.refuse("found both `generate` and `supplied_by`", "keep one of the two"),
                _ => SuppliedBy::read(&by),
            }
        });
    let required = table.optional(
        key("required", "false", "Whether a deploy is refused where it has no value.").otherwise("true"),
        |field| field.flag(),
    );
    let help = table
        .optional(key("help", "'What it is for'", "What it is for. Messages and examples repeat it."), |field| {
            field.text("a text", |_| true)
        });
    let bytes = bytes?;
    let setting = Setting {
        secret: secret?.unwrap_or(bytes.is_some()),
        required: required?.unwrap_or(true),
        supplied_by: supplied_by?.or_else(|| bytes.map(|_| SuppliedBy::Random)),
        help: help?.unwrap_or(bare.setting.help),
        ..bare.setting
    };
    Some(Variable { setting, value: None, bytes })
}

/// A required text without a value.
fn setting(name: &str) -> Setting {
    Setting {
        name: name.to_owned(),
        help: "declared in deploy.yaml".to_owned(),
        kind: Kind::Text,
        values: Vec::new(),
        default: None,
        required: true,
        secret: false,
        supplied_by: None,
    }
}
