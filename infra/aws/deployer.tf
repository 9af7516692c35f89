locals {
  github_owner = split("/", var.github_repository)[0]
  github_name  = split("/", var.github_repository)[1]
  github_slug  = var.github_ids == null ? var.github_repository : "${local.github_owner}@${var.github_ids.owner}/${local.github_name}@${var.github_ids.repository}"

  oidc_host         = "token.actions.githubusercontent.com"
  oidc_provider_arn = var.github_oidc_provider_arn == null ? aws_iam_openid_connect_provider.github[0].arn : var.github_oidc_provider_arn
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.github_oidc_provider_arn == null ? 1 : 0

  url            = "https://${local.oidc_host}"
  client_id_list = ["sts.amazonaws.com"]
}

# Only jobs of this repository that use this environment can assume the role. Other jobs, pull requests and forks cannot.
resource "aws_iam_role" "deployer" {
  name                 = "${local.name}-deployer"
  path                 = "/${var.project}/"
  max_session_duration = 3600

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = local.oidc_provider_arn }
      Condition = {
        StringEquals = {
          "${local.oidc_host}:aud" = "sts.amazonaws.com"
          "${local.oidc_host}:sub" = "repo:${local.github_slug}:environment:${var.github_environment}"
        }
      }
    }]
  })
}

# The deployer can read the whole stack and change how media are stored and delivered. It cannot create or delete resources
# that hold data, read media, or change permissions: an administrator applies such changes.
resource "aws_iam_role_policy" "deployer" {
  name = "deploy"
  role = aws_iam_role.deployer.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "State"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject"]
        Resource = ["arn:aws:s3:::${var.state_bucket}/${var.state_key}", "arn:aws:s3:::${var.state_bucket}/${var.state_key}.tflock"]
      },
      {
        Sid      = "StateUnlock"
        Effect   = "Allow"
        Action   = "s3:DeleteObject"
        Resource = "arn:aws:s3:::${var.state_bucket}/${var.state_key}.tflock"
      },
      # The plan that waits for its approval, which the toolkit keeps beside the state.
      {
        Sid      = "StatePlans"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
        Resource = "arn:aws:s3:::${var.state_bucket}/${trimsuffix(var.state_key, ".tfstate")}/*"
      },
      {
        Sid      = "StateFind"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = "arn:aws:s3:::${var.state_bucket}"
      },
      {
        Sid    = "BucketSettings"
        Effect = "Allow"
        Action = [
          "s3:ListBucket", "s3:GetBucket*", "s3:GetLifecycleConfiguration", "s3:GetEncryptionConfiguration",
          "s3:GetAccelerateConfiguration", "s3:GetReplicationConfiguration",
          "s3:PutBucketCORS", "s3:PutBucketNotification", "s3:PutBucketTagging", "s3:PutLifecycleConfiguration",
          # The provider reads and changes tags with these since 6.23, and with the older actions only if they are denied.
          "s3:ListTagsForResource", "s3:TagResource", "s3:UntagResource",
        ]
        Resource = aws_s3_bucket.media.arn
      },
      {
        Sid    = "QueueSettings"
        Effect = "Allow"
        Action = [
          "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:ListQueueTags", "sqs:SetQueueAttributes", "sqs:TagQueue", "sqs:UntagQueue",
        ]
        Resource = [aws_sqs_queue.uploads.arn, aws_sqs_queue.dead_letters.arn]
      },
      {
        Sid      = "Distribution"
        Effect   = "Allow"
        Action   = ["cloudfront:GetDistribution", "cloudfront:ListTagsForResource", "cloudfront:UpdateDistribution", "cloudfront:TagResource"]
        Resource = aws_cloudfront_distribution.media.arn
      },
      {
        Sid      = "OriginAccess"
        Effect   = "Allow"
        Action   = "cloudfront:GetOriginAccessControl"
        Resource = aws_cloudfront_origin_access_control.media.arn
      },
      {
        Sid      = "ResponseHeaders"
        Effect   = "Allow"
        Action   = ["cloudfront:GetResponseHeadersPolicy", "cloudfront:UpdateResponseHeadersPolicy"]
        Resource = aws_cloudfront_response_headers_policy.media.arn
      },
      {
        # CloudFront does not support resource-level permissions for these actions.
        Sid    = "SigningKeys"
        Effect = "Allow"
        Action = [
          "cloudfront:GetPublicKey", "cloudfront:CreatePublicKey", "cloudfront:DeletePublicKey",
          "cloudfront:GetKeyGroup", "cloudfront:UpdateKeyGroup",
        ]
        Resource = "*"
      },
      {
        Sid      = "Certificate"
        Effect   = "Allow"
        Action   = ["acm:DescribeCertificate", "acm:ListTagsForCertificate"]
        Resource = "arn:aws:acm:us-east-1:${var.account_id}:certificate/*"
      },
      {
        Sid    = "LookAtRights"
        Effect = "Allow"
        Action = [
          "iam:GetUser", "iam:GetUserPolicy", "iam:ListAccessKeys", "iam:GetRole", "iam:GetRolePolicy", "iam:ListRolePolicies",
          "iam:ListAttachedRolePolicies", "iam:GetOpenIDConnectProvider",
        ]
        Resource = [aws_iam_user.service.arn, aws_iam_role.deployer.arn, local.oidc_provider_arn]
      },
    ]
  })
}
