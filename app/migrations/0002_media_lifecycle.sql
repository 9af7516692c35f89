SET LOCAL lock_timeout = '2s';

-- What is known of a picture or clip beside its bytes.
ALTER TABLE media
    ADD COLUMN kind         text NOT NULL DEFAULT 'image' CHECK (kind IN ('image', 'video')),
    -- The id of its stored objects. A replaced file gets another, so what is served under a key never changes.
    -- NULL: the media's own id.
    ADD COLUMN file         text COLLATE "C" CHECK (file ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    -- About 25 bytes that a client turns into a blurred placeholder.
    ADD COLUMN thumbhash    bytea,
    ADD COLUMN clipboard    boolean NOT NULL DEFAULT false,
    -- The camera's local time, and its make and model.
    ADD COLUMN captured_at  timestamp,
    ADD COLUMN camera       text CHECK (char_length(camera) <= 200),
    -- The id of the object with the bytes as they were received, if others get them without their location. It is random and never
    -- told: a bucket may be public as a whole.
    ADD COLUMN received_file text COLLATE "C" CHECK (received_file ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$'),
    -- Of the bytes as they were received, if what others can download has lost its location; `sha256` and `size` are of that.
    ADD COLUMN received_sha256 bytea CHECK (octet_length(received_sha256) = 32),
    -- Whether the bytes as they were received tell where they were taken.
    ADD COLUMN has_location boolean NOT NULL DEFAULT false,
    ADD COLUMN duration_ms  bigint CHECK (duration_ms >= 0),
    ADD COLUMN codec        text,
    ADD COLUMN has_audio    boolean,
    -- The order of the gallery: when it became ready, and until then, when it was received.
    ADD COLUMN listed_at    timestamptz NOT NULL DEFAULT now(),
    -- In the trash since then.
    ADD COLUMN deleted_at   timestamptz,
    -- Grows with each change of name, description, tags, file or trash: what `If-Match` compares.
    ADD COLUMN version      integer NOT NULL DEFAULT 1,
    ADD COLUMN idempotency_key text CHECK (char_length(idempotency_key) BETWEEN 1 AND 255);

UPDATE media SET listed_at = created_at;

-- squawk-ignore require-concurrent-index-creation -- the table has as many rows as the team has pictures: milliseconds
CREATE INDEX media_listed ON media (listed_at DESC, id DESC) WHERE deleted_at IS NULL;
-- squawk-ignore require-concurrent-index-creation -- the table has as many rows as the team has pictures: milliseconds
CREATE INDEX media_trash ON media (deleted_at) WHERE deleted_at IS NOT NULL;
-- squawk-ignore require-concurrent-index-creation -- the table has as many rows as the team has pictures: milliseconds
CREATE INDEX media_received ON media (coalesce(received_sha256, sha256)) WHERE deleted_at IS NULL;
-- squawk-ignore require-concurrent-index-creation -- the table has as many rows as the team has pictures: milliseconds
CREATE UNIQUE INDEX media_received_file ON media (received_file) WHERE received_file IS NOT NULL;
-- squawk-ignore require-concurrent-index-creation -- the table has as many rows as the team has pictures: milliseconds
CREATE UNIQUE INDEX media_file ON media (coalesce(file, id));
-- squawk-ignore require-concurrent-index-creation -- the table has as many rows as the team has pictures: milliseconds
CREATE UNIQUE INDEX media_idempotency ON media (uploader, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- Work on one media. The process that claims a job moves `due_at` to the end of its lease and renews it while it works;
-- a job whose process died is due again when the lease has ended.
CREATE TABLE job (
    media       text COLLATE "C" NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    kind        text NOT NULL CHECK (kind IN ('process', 'ocr')),
    -- Started attempts.
    attempts    integer NOT NULL DEFAULT 0,
    due_at      timestamptz NOT NULL DEFAULT now(),
    -- Changes with each claim, so a process that lost its claim can no longer finish the job.
    claim       uuid,
    last_error  text,
    -- No more attempts: the file crashed, hung or failed too often.
    quarantined boolean NOT NULL DEFAULT false,
    PRIMARY KEY (media, kind)
);

CREATE INDEX job_due ON job (kind, due_at) WHERE NOT quarantined;

-- Stored objects whose rows are gone. Written in the transaction that deletes the row, deleted with the objects.
CREATE TABLE removal (
    file     text COLLATE "C" PRIMARY KEY,
    attempts integer NOT NULL DEFAULT 0,
    due_at   timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX removal_due ON removal (due_at);
