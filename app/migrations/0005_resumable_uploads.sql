SET LOCAL lock_timeout = '2s';

-- Uploads that a client continues after its connection was cut (tus 1.0). How much has arrived is the length of the file in
-- the spool.
CREATE TABLE resumable_upload (
    id              text COLLATE "C" PRIMARY KEY,
    account         uuid NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    -- Of the whole file, in bytes.
    length          bigint NOT NULL CHECK (length > 0),
    name            text NOT NULL,
    -- Once all of it has arrived and was accepted.
    media           text COLLATE "C" REFERENCES media (id) ON DELETE CASCADE,
    expires_at      timestamptz NOT NULL
);

CREATE INDEX resumable_upload_account ON resumable_upload (account);
CREATE INDEX resumable_upload_expires ON resumable_upload (expires_at);
CREATE INDEX resumable_upload_media ON resumable_upload (media);
