project            = "meemi"
environment        = "production"
project_id         = "11111111-2222-4333-8444-555555555555"
organization_id    = "22222222-2222-4333-8444-555555555555"
state_project_id   = "33333333-2222-4333-8444-555555555555"
registry_namespace = "meemit"
bucket             = "meemit-media"
bucket_admins      = ["user_id:bbbbbbbb-2222-4333-8444-555555555555", "application_id:aaaaaaaa-2222-4333-8444-555555555555"]

image   = "rg.fr-par.scw.cloud/meemit/meemit-backend@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
release = "3f9c2d1a4b7e"

settings_file = "tests/fixtures/settings.json"
settings      = { STORAGE_BACKEND = "s3", LOG_LEVEL = "info" }
secrets       = { DATABASE_URL = "postgres://a:b@db.example.org/meemi", JWT_SECRET = "sentinel \"quoted\" $${not} %%{expanded} ä\n" }

domain                = "meemit.example.org"
dns_zone_id           = "Z0123456789ABC"
dns_access_key_id     = "dns-key-id"
dns_secret_access_key = "dns-secret"
