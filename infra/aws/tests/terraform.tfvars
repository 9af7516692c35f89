project         = "meemi"
environment     = "production"
account_id      = "123456789012"
region          = "eu-north-1"
bucket          = "meemit-media"
state_bucket    = "meemit-tofu-state"
state_key       = "production/aws.tfstate"
allowed_origins = ["https://meemit.example.org"]

signing_public_keys = {
  first = <<-PEM
    -----BEGIN PUBLIC KEY-----
    MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA
    -----END PUBLIC KEY-----
  PEM
}

github_repository = "octo-org/meemit"
