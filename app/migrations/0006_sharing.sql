SET LOCAL lock_timeout = '2s';

-- Since then the account is deleted. Its row stays as the uploader of its media, under a name that nobody can register, without
-- password and rights.
ALTER TABLE account ADD COLUMN closed_at timestamptz;

-- What guests see without an account. Who has the token gets it; a password may be asked for, too.
CREATE TABLE share (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    account       uuid NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    title         text NOT NULL CHECK (char_length(title) <= 200),
    -- SHA-256, as of the other random tokens.
    token_sha256  bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32),
    -- An Argon2 hash in PHC format. Null: none is asked for.
    password_hash text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    -- Null: never.
    expires_at    timestamptz
);

CREATE INDEX share_account ON share (account);

CREATE TABLE share_item (
    share uuid NOT NULL REFERENCES share (id) ON DELETE CASCADE,
    media text COLLATE "C" NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    -- The order in which guests see them.
    place integer NOT NULL,
    PRIMARY KEY (share, media)
);

CREATE INDEX share_item_media ON share_item (media);
