# The permissions of the service. It can run outside AWS, so it has an access key and not a role.
resource "aws_iam_user" "service" {
  name = "${local.name}-service"
  path = "/${var.project}/"
}

resource "aws_iam_user_policy" "service" {
  name = "media"
  user = aws_iam_user.service.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Media"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
        Resource = concat(local.media_arns, ["${aws_s3_bucket.media.arn}/private/*"])
      },
      {
        Sid      = "List"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = aws_s3_bucket.media.arn
      },
      {
        Sid      = "Uploads"
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
        Resource = aws_sqs_queue.uploads.arn
      },
      # What `app worker status` and `app worker redrive` take beside that.
      {
        Sid      = "DeadLetters"
        Effect   = "Allow"
        Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
        Resource = aws_sqs_queue.dead_letters.arn
      },
      {
        Sid      = "Redrive"
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = aws_sqs_queue.uploads.arn
      },
    ]
  })
}

# The new key is created before the old one is deleted. A user can have two keys.
resource "aws_iam_access_key" "service" {
  user = aws_iam_user.service.name

  lifecycle {
    create_before_destroy = true
  }
}
