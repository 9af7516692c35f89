//! An environment's OpenTofu stack: its folder, its state, and the resources it protects.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::Utf8PathBuf;

use super::check;
use super::field::{Field, Table, key};

const STATE: &str = "{ bucket: my-service-state, region: fr-par, provider: scaleway }";
const APPROVAL: Duration = Duration::from_secs(60 * 60);

/// An OpenTofu stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// The folder of its files, inside the project.
    pub folder: Utf8PathBuf,
    /// The program that applies it.
    pub program: Program,
    /// Its state.
    pub state: State,
    /// Resources that must not be deleted, replaced or forgotten: addresses of resources or modules, or types.
    pub protect: Vec<String>,
    /// Values of its variables, as text: numbers, lists and objects in HCL. None is secret.
    pub variables: BTreeMap<String, String>,
    /// Which plans need an approval before they are applied.
    pub approval: Approvals,
    /// How long an approved plan is valid; whole minutes in deploy.yaml, 60 by default.
    pub approval_lasts: Duration,
}

/// Which plans of a stack need an approval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Approvals {
    /// `required`: every plan.
    #[default]
    Every,
    /// `none`: every plan that changes more than the release.
    BeyondTheRelease,
    /// `off`: no plan at all, not even one that deletes what is not protected.
    No,
}

/// The program that applies a stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Program {
    /// OpenTofu.
    #[default]
    Tofu,
    /// Terraform, which cannot encrypt its state.
    Terraform,
}

/// The object with a stack's state, in a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The bucket.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// Its provider.
    pub provider: Provider,
    /// The address of the S3 service, without a path; none for AWS.
    pub endpoint: Option<String>,
    /// The object; `PROJECT/ENVIRONMENT.tfstate` by default.
    pub key: Option<String>,
    /// Whether state and plans are encrypted before they are written.
    pub encrypted: bool,
}

/// S3 services. They differ in the features they support.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Amazon.
    Aws,
    /// Scaleway Object Storage.
    Scaleway,
    /// Cloudflare R2.
    R2,
    /// Another S3 server.
    Other,
}

/// The state that a stack has where the file does not say one.
pub(super) enum Beside {
    /// None: the file has to say it.
    Nothing,
    /// This one.
    State(State),
    /// It is that of another stack, whose keys have a problem.
    Unknown,
}

/// Reads the stack's keys among those of the environment. Without the key `stack`, no other may be set.
pub(super) fn stack(table: &mut Table<'_>) -> Option<Option<Stack>> {
    let folder = match table.optional(
        key(
            "stack",
            "infra/scaleway",
            "The folder of the OpenTofu stack that makes the environment. Without it, the environment has images only.",
        ),
        |field| field.path(),
    ) {
        Some(None) => return Some(None),
        Some(Some(folder)) => Some(folder),
        None => None,
    };
    of_folder(table, folder, Beside::Nothing).map(Some)
}

/// The same of a stack whose folder was read.
pub(super) fn of_folder(table: &mut Table<'_>, folder: Option<Utf8PathBuf>, beside: Beside) -> Option<Stack> {
    let program =
        table.optional(key("program", "tofu", "The program that applies the stack.").otherwise("tofu"), |field| {
            let program = field.choice(&[("tofu", Program::Tofu), ("terraform", Program::Terraform)])?;
            Some((program, field))
        });
    let state = match beside {
        Beside::Nothing => table
            .required(key("state", STATE, "The object with the stack's state, in a bucket.").with("stack"), |field| {
                field.table(state)
            }),
        beside => {
            let own = table.optional(
                key(
                    "state",
                    STATE,
                    "The object with the stack's state. Beside the service's stack, its bucket is the default.",
                ),
                |field| field.table(state),
            );
            match (own, beside) {
                (Some(None), Beside::State(beside)) => Some(beside),
                (own, _) => own.flatten(),
            }
        }
    };
    let protect = table.optional(
        key(
            "protect",
            "[scaleway_object_bucket.media]",
            "Addresses, modules or types of resources that no plan may delete, replace or forget.",
        )
        .otherwise("none"),
        |field| {
            field.list("scaleway_object_bucket.media", |item| {
                item.text("the address of a resource or module, or a type of resource", check::is_resource_address)
            })
        },
    );
    let variables = table.optional(
        key(
            "variables",
            "{ region: fr-par }",
            "Values of the stack's variables; secret ones are TF_VAR_… in .env.ENVIRONMENT.",
        )
        .otherwise("none"),
        |field| field.map("value", variable),
    );
    let approvals = [("required", Approvals::Every), ("none", Approvals::BeyondTheRelease), ("off", Approvals::No)];
    let approval = table.optional(
        key(
            "approval",
            "required",
            "Which plans a person approves: every one, those that change more \
                 than the release (`none`), or none at all (`off`).",
        )
        .otherwise("required"),
        |field| field.choice(&approvals),
    );
    let minutes = table.optional(
        key("approval_minutes", "60", "How long a plan may be applied, in minutes.").otherwise("60"),
        |field| field.number("whole minutes from 1 to 10080", |minutes| (1..=10_080).contains(minutes)),
    );
    let (state, program) = (state?, program?);
    if let Some((Program::Terraform, field)) = &program
        && state.encrypted
    {
        let hint = "use `tofu`, or write `encryption: off` into `state` and accept that the state contains secrets in plain text";
        return field.refuse("terraform cannot encrypt its state, and `encryption` is required", hint);
    }
    Some(Stack {
        folder: folder?,
        program: program.map(|(program, _)| program).unwrap_or_default(),
        state,
        protect: protect?.unwrap_or_default(),
        variables: variables?.unwrap_or_default(),
        approval: approval?.unwrap_or_default(),
        approval_lasts: minutes?.map_or(APPROVAL, |minutes: u64| Duration::from_secs(60 * minutes)),
    })
}

fn state(table: &mut Table<'_>) -> Option<State> {
    let bucket = bucket(table);
    let object = table.optional(
        key("key", "my-service/production.tfstate", "The object's name.").otherwise("PROJECT/ENVIRONMENT.tfstate"),
        |field| field.text("the name of an object: letters, digits, `-`, `_`, `.` and `/`", check::is_object_key),
    );
    let encrypted = table.optional(
        key("encryption", "required", "Whether state and plans are encrypted before they are written.")
            .otherwise("required"),
        |field| field.choice(&[("required", true), ("off", false)]),
    );
    Some(State { key: object?, encrypted: encrypted?.unwrap_or(true), ..bucket? })
}

/// The bucket alone: of a state, or of what a deploy keeps where there is no stack, which is not encrypted.
pub(super) fn bucket(table: &mut Table<'_>) -> Option<State> {
    let bucket = table.required(key("bucket", "my-service-state", "The bucket."), |field| {
        field.text("the name of a bucket: lower-case letters, digits, `-` and `.`", check::is_bucket)
    });
    let region = table.required(key("region", "fr-par", "The bucket's region."), |field| {
        field.text("a region: lower-case letters, digits and `-`", check::is_region)
    });
    let providers =
        [("aws", Provider::Aws), ("scaleway", Provider::Scaleway), ("r2", Provider::R2), ("other", Provider::Other)];
    let provider = table
        .required(key("provider", "scaleway", "The S3 service."), |field| Some((field.choice(&providers)?, field)));
    let endpoint = table.optional(
        key("endpoint", "https://s3.example.com", "The address of the S3 service. Required for `r2` and `other`.")
            .otherwise("the provider's own"),
        |field| field.text("the address of an S3 service: `https://` and a host, without a path", check::is_endpoint),
    );
    let (bucket, region, (provider, field), endpoint) = (bucket?, region?, provider?, endpoint?);
    let endpoint = match (provider, endpoint) {
        (Provider::Scaleway, None) => Some(format!("https://s3.{region}.scw.cloud")),
        (Provider::R2, None) => {
            return field.refuse(
                "R2 has a different address for each account",
                "add `endpoint: https://ACCOUNT_ID.r2.cloudflarestorage.com`",
            );
        }
        (Provider::Other, None) => {
            return field.refuse("the address of this provider is not known", "add `endpoint: https://s3.example.com`");
        }
        (Provider::Aws | Provider::Scaleway | Provider::R2 | Provider::Other, endpoint) => endpoint,
    };
    Some(State { bucket, region, provider, endpoint, key: None, encrypted: false })
}

/// The value of a variable of a stack.
pub(super) fn variable(name: &str, field: Field<'_>) -> Option<String> {
    let value = field.scalar();
    if check::is_stack_variable(name) {
        return value;
    }
    field.refuse_key(
        "not the name of a variable: expected letters, digits, `_` and `-`",
        "write the name as in the stack",
    )
}
