-- What a shop has to remember; the rules are there so that rows have to be found that keep them.
CREATE TYPE mood AS ENUM ('fine', 'cross');

CREATE TABLE customer (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name    varchar(40) NOT NULL UNIQUE CHECK (char_length(name) >= 3),
    mood    mood NOT NULL DEFAULT 'fine'
);

CREATE TABLE purchase (
    code        text PRIMARY KEY CHECK (code ~ '^[A-Z]{3}-[0-9]+$'),
    customer    bigint NOT NULL REFERENCES customer (id),
    state       text NOT NULL CHECK (state IN ('open', 'paid')),
    paid_at     timestamptz,
    CHECK ((state = 'paid') = (paid_at IS NOT NULL))
);
