CREATE TABLE account (
    id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    username      text NOT NULL CHECK (char_length(username) BETWEEN 1 AND 64),
    password_hash text NOT NULL,
    -- True for the one account that the bootstrap token made.
    bootstrap     boolean NOT NULL DEFAULT false,
    created_at    timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX account_username ON account (lower(username));

-- Of two first registrations at the same moment the database lets one through.
CREATE UNIQUE INDEX account_bootstrap ON account (bootstrap) WHERE bootstrap;

-- One lifecycle, whichever way the bytes come in: pending -> ready | failed(failure).
CREATE TABLE media (
    id            text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    status        text NOT NULL CHECK (status IN ('pending', 'ready', 'failed')),
    -- Why it failed: a stable code.
    failure       text,
    name          text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    description   text NOT NULL DEFAULT '',
    tags          text[] NOT NULL DEFAULT '{}',
    -- What the client said it would be; mime_type is what its content is.
    declared_type text,
    mime_type     text,
    size          bigint CHECK (size > 0),
    -- As displayed, in pixels.
    width         integer CHECK (width > 0),
    height        integer CHECK (height > 0),
    -- SHA-256 of the original, which is also the entity tag it is served with.
    sha256        bytea CHECK (octet_length(sha256) = 32),
    ocr_text      text,
    uploader      uuid NOT NULL REFERENCES account (id),
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    CHECK ((status = 'failed') = (failure IS NOT NULL)),
    CHECK (status <> 'ready' OR (mime_type IS NOT NULL AND size IS NOT NULL AND width IS NOT NULL
                                 AND height IS NOT NULL AND sha256 IS NOT NULL))
);
