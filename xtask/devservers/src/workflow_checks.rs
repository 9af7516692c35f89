//! What checks workflows of GitHub Actions: actionlint, zizmor, and the JSON schemas of workflows and of Dependabot's configuration.

use std::path::PathBuf;

use anyhow::Result;

use crate::go::Program;
use crate::pip::Package;

const ACTIONLINT: Program = Program {
    name: "actionlint",
    module: "github.com/rhysd/actionlint",
    version: "v1.7.12",
    sum: "h1:vQ4GeJN86C0QH+gTUQcs8McmK62OLT3kmakPMtEWYnY=",
    package: "./cmd/actionlint",
    flags: "",
};

/// Linux, each for x86_64 and aarch64, and macOS for aarch64 and x86_64.
const ZIZMOR: Package = Package {
    name: "zizmor",
    version: "1.32.0",
    archives: &[
        "84a6acb975accc13408786a2bd274b572537ca19c933ebbc13e78f3988562071",
        "0cdd38fca6eb34ceb567548548d706332e3535ea66894b9168c048e03207b68c",
        "0a999c98015becd9f69919ce01febadfb1c2be9b8ec2ce9ef7eb13ff23ba8eba",
        "aa4b4e216321dd5cf202cd79fc83296468f0eed79d850cd65ac8187a6bbc5496",
    ],
};

/// It has the schemas of schemastore.org. Its program is not used: it would take packages of its own.
const SCHEMAS: Package = Package {
    name: "check-jsonschema",
    version: "0.39.0",
    archives: &["14ce5c94871c551268ea948ffe21e9f1464dc48fb20bf9a4c13deeaaf756cf9b"],
};

/// actionlint, which knows the syntax of workflows and the types of expressions. Builds it if this machine does not have it yet.
pub fn actionlint() -> Result<PathBuf> {
    ACTIONLINT.build()
}

/// zizmor, which finds what is unsafe in workflows.
pub fn zizmor() -> Result<PathBuf> {
    Ok(ZIZMOR.install()?.join("bin").join("zizmor"))
}

/// The JSON schemas of a workflow and of Dependabot's configuration.
pub fn schemas() -> Result<[PathBuf; 2]> {
    let folder = SCHEMAS.install()?.join("check_jsonschema/builtin_schemas/vendor");
    Ok(["github-workflows.json", "dependabot.json"].map(|name| folder.join(name)))
}
