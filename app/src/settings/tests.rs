use super::{Settings, StorageSettings};

fn vars(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn all_problems_are_reported_together_without_secrets() {
    let problems = Settings::from_vars(vars(&[
        ("DATABASE_URL", "mysql://root:hunter2@db/x"),
        ("PORT", "70000"),
        ("JWT_SECRET", "short-secret"),
        ("LOG_FORMAT", "xml"),
        ("MAX_PIXELS", "0"),
        ("UPLOAD_DIR", ""),
    ]))
    .err()
    .unwrap();
    let names: Vec<_> = problems.0.iter().map(|problem| problem.name).collect();
    assert_eq!(
        names,
        ["DATABASE_URL", "PORT", "UPLOAD_DIR", "JWT_SECRET", "BOOTSTRAP_TOKEN", "MAX_PIXELS", "LOG_FORMAT"]
    );
    let text = problems.to_string();
    assert!(text.starts_with("7 problems in the environment:\n  DATABASE_URL is invalid"), "{text}");
    assert!(text.contains("PORT is invalid: \"70000\"; expected a port from 0 to 65535"), "{text}");
    assert!(text.contains("BOOTSTRAP_TOKEN is not set"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("short-secret"), "{text}");
}

#[test]
fn supabases_transaction_pooler_is_refused_with_the_address_to_use() {
    let others = [
        ("JWT_SECRET", "jjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjj"),
        ("BOOTSTRAP_TOKEN", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
        ("UPLOAD_DIR", "/data"),
    ];
    let read = |url: &str| Settings::from_vars(vars(&[&others[..], &[("DATABASE_URL", url)]].concat()));
    for url in [
        "postgres://postgres:hunter2@db.abcdef.supabase.co:5432/postgres",
        "postgres://postgres.abcdef:hunter2@aws-0-eu-north-1.pooler.supabase.com:5432/postgres",
        "postgres://u:hunter2@pgbouncer.example.com:6543/db",
    ] {
        assert!(read(url).is_ok(), "{url}");
    }
    for url in [
        "postgres://postgres:hunter2@db.abcdef.supabase.co:6543/postgres",
        "postgres://postgres.abcdef:hunter2@aws-0-eu-north-1.pooler.supabase.com:6543/postgres",
    ] {
        let text = read(url).err().unwrap().to_string();
        assert!(text.contains("its session pooler, port 5432") && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn the_project_that_keeps_the_accounts_is_an_origin_with_a_public_key() {
    let others = [
        ("DATABASE_URL", "postgres://u:hunter2@localhost/db"),
        ("JWT_SECRET", "jjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjj"),
        ("BOOTSTRAP_TOKEN", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
        ("UPLOAD_DIR", "/data"),
        ("AUTH_MODE", "supabase"),
    ];
    let problems = |pairs: &[(&str, &str)]| match Settings::from_vars(vars(&[&others, pairs].concat())) {
        Ok(_) => vec![],
        Err(problems) => problems.0.into_iter().map(|problem| problem.name).collect(),
    };
    let (url, key) = ("SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY");
    assert_eq!(problems(&[]), [url, key]);
    let good = "sb_publishable_0123456789";
    for origin in ["https://abc.supabase.co", "https://abc.supabase.co/", "http://127.0.0.1:54321", "http://[::1]:1"] {
        assert_eq!(problems(&[(url, origin), (key, good)]), [""; 0], "{origin}");
    }
    for bad in
        ["abc.supabase.co", "https://abc.supabase.co/auth/v1", "https://u:p@abc.co", "https://a;b", "ftp://abc.co"]
    {
        assert_eq!(problems(&[(url, bad), (key, good)]), [url], "{bad}");
    }
    // The legacy keys are tokens of the roles anon and service_role.
    let [anon, secret] =
        ["eyJyb2xlIjoiYW5vbiJ9", "eyJyb2xlIjoic2VydmljZV9yb2xlIn0"].map(|claims| format!("e30.{claims}.x"));
    assert_eq!(problems(&[(url, "https://abc.supabase.co"), (key, &anon)]), [""; 0]);
    for bad in [&secret, "sb_secret_0123456789", "sb_publishable_", "anon", ""] {
        assert_eq!(problems(&[(url, "https://abc.supabase.co"), (key, bad)]), [key], "{bad}");
    }
}

#[test]
fn each_storage_backend_requires_its_own_settings() {
    let others = [
        ("DATABASE_URL", "postgres://u:hunter2@localhost/db"),
        ("JWT_SECRET", "jjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjj"),
        ("BOOTSTRAP_TOKEN", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
    ];
    let read = |pairs: &[(&str, &str)]| Settings::from_vars(vars(&[&others, pairs].concat()));
    let problems =
        |pairs: &[(&str, &str)]| read(pairs).err().unwrap().0.into_iter().map(|it| it.name).collect::<Vec<_>>();
    let required = ["S3_BUCKET", "S3_REGION", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "SPOOL_DIR"];
    assert_eq!(problems(&[]), ["UPLOAD_DIR"]);
    assert_eq!(problems(&[("STORAGE_BACKEND", "s3"), ("UPLOAD_DIR", "/data")]), required);
    assert_eq!(problems(&[("STORAGE_BACKEND", "tape")]), ["STORAGE_BACKEND"]);

    let s3 = required.map(|name| (name, "x"));
    let endpoint = ("S3_ENDPOINT", "https://account.r2.cloudflarestorage.com/");
    let read = read(&[&[("STORAGE_BACKEND", "s3"), endpoint], &s3[..]].concat()).unwrap();
    let StorageSettings::S3(settings) = read.storage else { panic!("another backend") };
    assert_eq!(settings.endpoint.as_deref(), Some("https://account.r2.cloudflarestorage.com"));
    assert_eq!(settings.public_url, None);
    for url in ["https://sqs.eu-north-1.amazonaws.com/", "arn:aws:sqs:eu-north-1:123456789012:uploads"] {
        let all = [&[("STORAGE_BACKEND", "s3"), ("QUEUE_URL", url)], &s3[..]].concat();
        assert_eq!(problems(&all), ["QUEUE_URL"], "{url}");
    }
    for url in ["media.example.com", "ftp://media.example.com", "https://a.example/?x", "https://"] {
        let all = [&[("STORAGE_BACKEND", "s3"), ("S3_PUBLIC_URL", url)], &s3[..]].concat();
        assert_eq!(problems(&all), ["S3_PUBLIC_URL"], "{url}");
    }
}

#[test]
fn metrics_are_off_by_default_and_never_on_the_public_port() {
    let read = |pairs: &[(&str, &str)]| {
        let others = [
            ("DATABASE_URL", "postgres://u:hunter2@localhost/db"),
            ("UPLOAD_DIR", "/data"),
            ("JWT_SECRET", "jjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjj"),
            ("BOOTSTRAP_TOKEN", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
        ];
        Settings::from_vars(vars(&[&others, pairs].concat())).map(|settings| settings.metrics)
    };
    let address = |text: &str| Ok(Some(text.parse().unwrap()));
    assert_eq!(read(&[]), Ok(None));
    assert_eq!(read(&[("METRICS_PORT", "9000")]), address("127.0.0.1:9000"));
    assert_eq!(read(&[("METRICS_PORT", "9000"), ("METRICS_HOST", "::")]), address("[::]:9000"));
    assert_eq!(read(&[("METRICS_PORT", "0"), ("PORT", "0")]), address("127.0.0.1:0"));
    for bad in
        [&[("METRICS_PORT", "3000")][..], &[("METRICS_PORT", "9000"), ("PORT", "9000")], &[("METRICS_PORT", "x")]]
    {
        let problem = read(bad).unwrap_err().to_string();
        assert!(problem.contains("METRICS_PORT is invalid") && problem.contains("that is not PORT"), "{problem}");
    }
}

#[test]
fn unset_variables_get_their_defaults() {
    let settings = Settings::from_vars(vars(&[
        ("DATABASE_URL", "postgres://u:hunter2@localhost/db?host=/run/x"),
        ("UPLOAD_DIR", "/data"),
        ("JWT_SECRET", &"j".repeat(32)),
        ("BOOTSTRAP_TOKEN", &"b".repeat(32)),
    ]))
    .unwrap();
    assert_eq!((settings.port, settings.service_version.as_str()), (3000, "unversioned"));
    assert_eq!((settings.max_upload_bytes, settings.max_pixels), (10_485_760, 40_000_000));
}

#[test]
fn settings_json_is_up_to_date() {
    let declared = serde_json::to_string_pretty(&Settings::schema()).unwrap() + "\n";
    let committed = fs_err::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/settings.json")).unwrap();
    assert!(committed == declared, "settings.json is stale: cargo run -p app -- config schema > app/settings.json");
}

#[test]
fn a_variable_that_is_nearly_a_setting_is_told_with_it() {
    let names =
        ["S3_BUKET", "s3_region", "PROT", "JWT_SECERT", "PATH", "HOME", "PORT", "APP_API_KEY", "S3_ENDPOINT_URLS"];
    let found = super::unread(&Settings::schema(), names.map(str::to_owned));
    let found: Vec<_> = found.iter().map(|unread| (unread.name.as_str(), unread.meant)).collect();
    assert_eq!(
        found,
        [("JWT_SECERT", "JWT_SECRET"), ("PROT", "PORT"), ("S3_BUKET", "S3_BUCKET"), ("s3_region", "S3_REGION")]
    );
}

/// A setting that another file reads would be in no settings.json, `.env.example` or stack.
#[test]
fn no_other_file_reads_the_environment() {
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    let (mut files, mut wrong) = (0, vec![]);
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("src/settings") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("src/settings.rs")
            {
                files += 1;
                let text = fs_err::read_to_string(&path).unwrap();
                // Where programs are, and what tests are given.
                let reads = |line: &&str| {
                    line.contains("env::var") && !line.contains("(\"PATH\")") && !line.contains("(\"TEST_")
                };
                wrong.extend(text.lines().filter(reads).map(|line| format!("{}: {}", path.display(), line.trim())));
            }
        }
    }
    assert!(files > 50 && wrong.is_empty(), "of {files} files, these read the environment: {wrong:#?}");
}
