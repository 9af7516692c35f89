SET LOCAL lock_timeout = '2s';

-- How many media have each tag. Those in the trash and those of which no file was received are not counted.
CREATE TABLE tag (
    value text PRIMARY KEY,
    media bigint NOT NULL
);

-- A part of a tag is found by its trigrams.
CREATE INDEX tag_value ON tag USING gin (lower(value) gin_trgm_ops);

-- Counts what a statement has changed, once for each tag. All statements change the counts in the same order, so none waits for one that
-- waits for it.
CREATE FUNCTION tag_count() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    added text[];
    removed text[];
BEGIN
    IF TG_OP <> 'DELETE' THEN
        added := array(SELECT unnest(tags) FROM new_media WHERE deleted_at IS NULL AND listed_at > 'epoch');
    END IF;
    IF TG_OP <> 'INSERT' THEN
        removed := array(SELECT unnest(tags) FROM old_media WHERE deleted_at IS NULL AND listed_at > 'epoch');
    END IF;
    INSERT INTO tag (value, media)
    SELECT value, sum(change)
    FROM (SELECT unnest(added), 1 UNION ALL SELECT unnest(removed), -1) AS changes (value, change)
    GROUP BY value HAVING sum(change) <> 0 ORDER BY value
    ON CONFLICT (value) DO UPDATE SET media = tag.media + EXCLUDED.media;
    DELETE FROM tag WHERE value = ANY (removed) AND media <= 0;
    RETURN NULL;
END
$$;

CREATE TRIGGER tag_count_inserted AFTER INSERT ON media
    REFERENCING NEW TABLE AS new_media FOR EACH STATEMENT EXECUTE FUNCTION tag_count();
CREATE TRIGGER tag_count_updated AFTER UPDATE ON media
    REFERENCING OLD TABLE AS old_media NEW TABLE AS new_media FOR EACH STATEMENT EXECUTE FUNCTION tag_count();
CREATE TRIGGER tag_count_deleted AFTER DELETE ON media
    REFERENCING OLD TABLE AS old_media FOR EACH STATEMENT EXECUTE FUNCTION tag_count();

-- The triggers hold off all changes until this is committed.
INSERT INTO tag (value, media)
SELECT value, count(*) FROM media, unnest(tags) AS value
WHERE deleted_at IS NULL AND listed_at > 'epoch' GROUP BY value;
