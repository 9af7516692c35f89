environment     = "production"
account_id      = "0123456789abcdef0123456789abcdef"
bucket          = "meemit-media"
allowed_origins = ["https://meemit.example.org"]
