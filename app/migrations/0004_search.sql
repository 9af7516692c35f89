SET LOCAL lock_timeout = '2s';

-- Words that are nearly those of a name are found by their trigrams.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE FUNCTION media_stems(body text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT to_tsvector('simple', body) || to_tsvector('english', body) || to_tsvector('finnish', body)
$$;

-- The words of a media, as they are and by their English and Finnish stems. In a file's name, the parts between dots, lines
-- and underscores are words, too.
CREATE FUNCTION media_words(name text, description text, tags text[], ocr_text text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT media_stems(translate(name, '._-', '   ')) || media_stems(array_to_string(tags, ' '))
        || media_stems(description) || media_stems(coalesce(ocr_text, ''))
$$;

-- Media that have each of the words: as the beginning of a word, or by its English or Finnish stem. The words have letters
-- and digits only.
CREATE FUNCTION media_query(words text[]) RETURNS tsquery
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    word text;
    whole tsquery;
    part tsquery;
BEGIN
    FOREACH word IN ARRAY words LOOP
        part := (quote_literal(word) || ':*')::tsquery || plainto_tsquery('english', word) || plainto_tsquery('finnish', word);
        whole := CASE WHEN whole IS NULL THEN part ELSE whole && part END;
    END LOOP;
    RETURN whole;
END
$$;

CREATE FUNCTION media_label(name text, tags text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT lower(name || ' ' || array_to_string(tags, ' '))
$$;

-- squawk-ignore adding-field-with-default -- the same: the rewrite takes milliseconds, and the words change with their row
ALTER TABLE media ADD COLUMN words tsvector
    GENERATED ALWAYS AS (media_words(name, description, tags, ocr_text)) STORED;

-- squawk-ignore require-concurrent-index-creation -- the table has as many rows as the team has pictures: milliseconds
CREATE INDEX media_words ON media USING gin (words);
-- squawk-ignore require-concurrent-index-creation -- the table has as many rows as the team has pictures: milliseconds
CREATE INDEX media_label ON media USING gin (media_label(name, tags) gin_trgm_ops);
-- squawk-ignore require-concurrent-index-creation -- the table has as many rows as the team has pictures: milliseconds
CREATE INDEX media_tags ON media USING gin (tags);
-- squawk-ignore require-concurrent-index-creation -- the table has as many rows as the team has pictures: milliseconds
CREATE INDEX media_uploader ON media (uploader, listed_at DESC, id DESC) WHERE deleted_at IS NULL;
-- squawk-ignore require-concurrent-index-creation -- the table has as many rows as the team has pictures: milliseconds
CREATE INDEX media_kind ON media (kind, listed_at DESC, id DESC) WHERE deleted_at IS NULL;
