"""What schemathesis lacks: it sends the parts of resumable uploads as bytes."""

import schemathesis

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
