//! `app migrate-auth`: makes a user of a Supabase project for each account, with the account's id, so that media, shares, API keys and
//! roles stay its own.
//!
//! What is done is known by the project alone, so the command can be run again at any time: a user that exists is not made again, and
//! one that was sent a link is not sent another.

mod project;

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use clap::Args;

use self::project::{Failure, Project};
use crate::{
    auth::members::{self, Member},
    db::{self, Keep},
    settings::{self, Settings},
};

/// Make a user of the Supabase project for each account, with the same id; exit with 1 if one could not be made
///
/// The project sends each user a link to set a password; no password leaves the database. SUPABASE_SERVICE_ROLE_KEY has a secret key of
/// the project. The settings are those of the service as it will run, with AUTH_MODE=supabase; until it is started with them,
/// it goes on as before. What is done already is not done again, so the command may be interrupted and repeated.
#[derive(Args)]
pub struct MigrateAuthArgs {
    /// E-mail addresses of the accounts whose user name is not one: a line each, with the user name, a space and the address
    #[arg(long, value_name = "FILE")]
    addresses: Option<PathBuf>,
    /// Only tell what would be done
    #[arg(long)]
    dry_run: bool,
}

/// What became of an account.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moved {
    /// The user is new.
    Made,
    /// The user was there, from an earlier run that ended before the link was sent.
    Linked,
    /// Nothing was left to do.
    Before,
}

/// Moves all accounts.
///
/// # Errors
/// If the project cannot be used any more, or an account could not be moved.
pub async fn run(args: MigrateAuthArgs) -> anyhow::Result<()> {
    let settings = Settings::from_env()?;
    let supabase = settings.supabase.context(
        "AUTH_MODE is not supabase: set it for this command, with SUPABASE_URL and SUPABASE_PUBLISHABLE_KEY",
    )?;
    let key = settings::service_role_key().context(
        "SUPABASE_SERVICE_ROLE_KEY is not set: a secret key of the project (Settings → API Keys), in the environment of this command only",
    )?;
    let project = Project::new(supabase.url, &key)?;
    let db = db::connect(settings.database, Keep::None).await?;
    let accounts = members::list(&db).await.context("cannot list the accounts")?;
    let addresses = args.addresses.as_deref().map(read_addresses).transpose()?.unwrap_or_default();
    if let Some(unknown) = addresses.keys().find(|name| !accounts.iter().any(|account| is_named(account, name))) {
        bail!("the file of --addresses names {unknown}, which is no account");
    }

    let mut seen = HashSet::new();
    for address in accounts.iter().filter_map(|account| address_of(account, &addresses)) {
        ensure!(seen.insert(address.to_ascii_lowercase()), "two accounts have the address {address}");
    }

    let (mut moved, mut failed) = (0, 0);
    for account in &accounts {
        let name = &account.username;
        let outcome = match address_of(account, &addresses) {
            Some(address) => move_one(&project, account, address, args.dry_run).await,
            None => Err(Failure::User(
                "its user name is no e-mail address; name its address in the file of --addresses".to_owned(),
            )),
        };
        match outcome {
            Ok(outcome) => {
                println!("{name}: {}", line(outcome, args.dry_run));
                moved += usize::from(outcome != Moved::Before);
            }
            Err(Failure::User(reason)) => {
                eprintln!("{name}: {reason}");
                failed += 1;
            }
            Err(Failure::Project(reason)) => bail!("{name}: {reason}; run the command again to go on"),
        }
    }
    let verb = if args.dry_run { "to move" } else { "moved" };
    println!(
        "{} accounts: {moved} {verb}, {} were moved before, {failed} failed",
        accounts.len(),
        accounts.len() - moved - failed
    );
    ensure!(failed == 0, "{failed} accounts cannot be moved");
    Ok(())
}

async fn move_one(project: &Project, account: &Member, address: &str, dry_run: bool) -> Result<Moved, Failure> {
    let (moved, address) = match project.find(account.id).await? {
        Some(user) if user.has_been_written_to() => return Ok(Moved::Before),
        // The person who reads the mail of an address gets the account.
        Some(user) if !user.email.eq_ignore_ascii_case(address) => {
            return Err(Failure::User(format!(
                "its user has the address {}, not {address}; correct it in the project, under Authentication → Users",
                user.email
            )));
        }
        Some(user) => (Moved::Linked, user.email),
        None => (Moved::Made, address.to_owned()),
    };
    if dry_run {
        return Ok(moved);
    }
    if moved == Moved::Made {
        project.create(account.id, &address).await?;
    }
    project.send_link(&address).await?;
    Ok(moved)
}

fn line(moved: Moved, dry_run: bool) -> &'static str {
    match (moved, dry_run) {
        (Moved::Made, true) => "a user would be made, and sent a link to set a password",
        (Moved::Made, false) => "a user was made, and sent a link to set a password",
        (Moved::Linked, true) => "the user is there, and would be sent a link to set a password",
        (Moved::Linked, false) => "the user was there, and was sent a link to set a password",
        (Moved::Before, _) => "was moved before",
    }
}

/// The address that the file names, or else the user name, if it is one.
fn address_of<'a>(account: &'a Member, addresses: &'a HashMap<String, String>) -> Option<&'a str> {
    let named = addresses.iter().find(|(name, _)| is_named(account, name)).map(|(_, address)| address.as_str());
    named.or_else(|| Some(account.username.as_str()).filter(|name| is_address(name)))
}

/// As in the database, upper and lower case are the same.
fn is_named(account: &Member, name: &str) -> bool {
    account.username.eq_ignore_ascii_case(name)
}

fn is_address(text: &str) -> bool {
    text.split_once('@').is_some_and(|(user, domain)| !user.is_empty() && domain.contains('.') && !domain.contains('@'))
}

fn read_addresses(file: &Path) -> anyhow::Result<HashMap<String, String>> {
    let text = fs_err::read_to_string(file).context("cannot read the file of --addresses")?;
    let mut addresses = HashMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            [name, address] if is_address(address) => {
                let is_new = addresses.insert(name.to_ascii_lowercase(), address.to_owned()).is_none();
                ensure!(is_new, "line {} of {} names {name} again", number + 1, file.display());
            }
            _ => bail!("line {} of {} is not a user name, a space and an e-mail address", number + 1, file.display()),
        }
    }
    Ok(addresses)
}
