SET LOCAL lock_timeout = '2s';

-- Media that have each of the words: whole, or by its English or Finnish stem; the last one also as the beginning of a word, because
-- it may not be typed to its end. The beginning of a common word would be looked up in all media. The words have letters and digits only.
CREATE OR REPLACE FUNCTION media_query(words text[]) RETURNS tsquery
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    last integer := cardinality(words);
    whole tsquery;
    part tsquery;
BEGIN
    FOR place IN 1..last LOOP
        part := (quote_literal(words[place]) || CASE WHEN place = last THEN ':*' ELSE '' END)::tsquery
            || plainto_tsquery('english', words[place]) || plainto_tsquery('finnish', words[place]);
        whole := CASE WHEN whole IS NULL THEN part ELSE whole && part END;
    END LOOP;
    RETURN whole;
END
$$;
