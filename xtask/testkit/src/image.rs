//! A service that is busybox and a shell script, as an image without a base: quick to build, and nothing has to be pulled.

use std::os::unix::fs::PermissionsExt as _;

use crate::Project;

const DOCKERFILE: &str = "FROM scratch\nCOPY bin /bin\nCOPY start /start\nCMD [\"/start\"]\n";

impl Project {
    /// Writes the files of an image that runs this script.
    pub fn write_image(&self, start: &str) {
        self.write("Dockerfile", DOCKERFILE);
        self.write(".dockerignore", "*\n!bin\n!start\n");
        self.write("start", start);
        let executable = std::fs::Permissions::from_mode(0o755);
        fs_err::set_permissions(self.root.join("start"), executable).unwrap();
        fs_err::create_dir_all(self.root.join("bin")).unwrap();
        fs_err::copy("/bin/busybox", self.root.join("bin/busybox"))
            .expect("Debian's package busybox-static is installed");
    }
}
