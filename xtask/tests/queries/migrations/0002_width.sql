ALTER TABLE purchase ADD COLUMN width bigint;
