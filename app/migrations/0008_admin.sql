SET LOCAL lock_timeout = '2s';

-- A process of the service, as long as it says that it lives. `id` is made when it starts.
CREATE TABLE instance (
    id         uuid PRIMARY KEY,
    command    text NOT NULL CHECK (command IN ('serve', 'worker')),
    version    text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at    timestamptz NOT NULL DEFAULT now()
);

-- squawk-ignore require-concurrent-index-creation -- the table has as many rows as jobs wait: milliseconds
CREATE INDEX job_quarantined ON job (media) WHERE quarantined;
-- squawk-ignore require-concurrent-index-creation -- the table has as many rows as the team has pictures: milliseconds
CREATE INDEX media_failed ON media (id) WHERE status = 'failed';
-- What each person's media take is summed up from the index alone: the rows are wide.
-- squawk-ignore require-concurrent-index-creation -- the table has as many rows as the team has pictures: milliseconds
CREATE INDEX media_usage ON media (uploader) INCLUDE (size, deleted_at, status);
