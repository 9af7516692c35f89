SET LOCAL lock_timeout = '2s';

-- Where the walk through the stored objects is, which looks for those without a row. A worker takes the next page by moving `due_at` to the
-- end of its lease, so one of them walks at a time; if it dies, another takes the same page once the lease has ended.
CREATE TABLE storage_walk (
    is_the_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_the_only_row),
    -- The next page begins behind this key.
    after           text COLLATE "C" NOT NULL,
    due_at          timestamptz NOT NULL
);

INSERT INTO storage_walk (after, due_at) VALUES ('uploads/', now() + interval '1 day');

-- Objects that the walk has found without a row. One is removed when that was so for a time, each time that the walk has come by.
CREATE TABLE storage_orphan (
    key        text COLLATE "C" PRIMARY KEY,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen  timestamptz NOT NULL DEFAULT now()
);
