SET LOCAL lock_timeout = '2s';

-- The account with `bootstrap` is an admin, whatever its role says: the release before this one makes it without a role.
ALTER TABLE account ADD COLUMN role text NOT NULL DEFAULT 'member' CHECK (role IN ('admin', 'member'));

-- Random tokens are stored as SHA-256: who reads this database cannot use them.

CREATE TABLE invite (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    token_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
    -- Of the account that it makes.
    role         text NOT NULL CHECK (role IN ('admin', 'member')),
    created_by   uuid NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    used_at      timestamptz,
    -- The account that it made; null too once that is deleted. Checked at the end of the statement that inserts the account.
    used_by      uuid REFERENCES account (id) ON DELETE SET NULL
);

-- A log-in token names its row here and is valid as long as the row exists.
CREATE TABLE session (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    account      uuid NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    user_agent   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    -- To the minute.
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL
);

CREATE INDEX session_account ON session (account);

CREATE TABLE api_key (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    account      uuid NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    name         text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    token_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
    scopes       text[] NOT NULL CHECK (scopes <@ ARRAY['read', 'upload', 'manage'] AND cardinality(scopes) > 0),
    created_at   timestamptz NOT NULL DEFAULT now(),
    -- To the minute.
    last_used_at timestamptz,
    -- Null: never.
    expires_at   timestamptz
);

CREATE INDEX api_key_account ON api_key (account);
