# Permissions.

mock_provider "aws" {
  mock_resource "aws_s3_bucket" {
    defaults = {
      id                          = "meemit-media"
      arn                         = "arn:aws:s3:::meemit-media"
      bucket_regional_domain_name = "meemit-media.s3.eu-north-1.amazonaws.com"
    }
  }
  mock_resource "aws_cloudfront_distribution" {
    defaults = {
      id             = "EDFDVBD6EXAMPLE"
      arn            = "arn:aws:cloudfront::123456789012:distribution/EDFDVBD6EXAMPLE"
      domain_name    = "d111111abcdef8.cloudfront.net"
      hosted_zone_id = "Z2FDTNDATAQYW2"
    }
  }
  mock_resource "aws_cloudfront_origin_access_control" {
    defaults = { arn = "arn:aws:cloudfront::123456789012:origin-access-control/E327GJI25M56DG" }
  }
  mock_resource "aws_cloudfront_response_headers_policy" {
    defaults = { arn = "arn:aws:cloudfront::123456789012:response-headers-policy/5cc3b908-e619-4b99-88e5-2cf7f45965bd" }
  }
  mock_resource "aws_iam_user" {
    defaults = { arn = "arn:aws:iam::123456789012:user/meemi/meemi-production-service" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/meemi/meemi-production-deployer" }
  }
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
  }
}

mock_provider "aws" {
  alias = "dns"
}

override_resource {
  target = aws_sqs_queue.uploads
  values = {
    id  = "https://sqs.eu-north-1.amazonaws.com/123456789012/meemi-production-uploads"
    arn = "arn:aws:sqs:eu-north-1:123456789012:meemi-production-uploads"
  }
}

override_resource {
  target = aws_sqs_queue.dead_letters
  values = {
    id  = "https://sqs.eu-north-1.amazonaws.com/123456789012/meemi-production-uploads-dead"
    arn = "arn:aws:sqs:eu-north-1:123456789012:meemi-production-uploads-dead"
  }
}

run "service" {
  command = plan

  assert {
    condition = {
      for statement in jsondecode(aws_iam_user_policy.service.policy).Statement : statement.Sid => [statement.Action, statement.Resource]
      } == {
      Media       = [["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], ["arn:aws:s3:::meemit-media/clipboard/*", "arn:aws:s3:::meemit-media/thumbs/*", "arn:aws:s3:::meemit-media/uploads/*", "arn:aws:s3:::meemit-media/private/*"]]
      List        = ["s3:ListBucket", "arn:aws:s3:::meemit-media"]
      Uploads     = [["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"], "arn:aws:sqs:eu-north-1:123456789012:meemi-production-uploads"]
      DeadLetters = [["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"], "arn:aws:sqs:eu-north-1:123456789012:meemi-production-uploads-dead"]
      Redrive     = ["sqs:SendMessage", "arn:aws:sqs:eu-north-1:123456789012:meemi-production-uploads"]
    }
    error_message = "The service has other permissions than those for media and the queue."
  }
  assert {
    condition     = aws_iam_access_key.service.user == "meemi-production-service"
    error_message = "The access key belongs to another user."
  }
}

run "repository_name_in_token" {
  command = plan

  assert {
    condition = one(jsondecode(aws_iam_role.deployer.assume_role_policy).Statement) == {
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
      Condition = {
        StringEquals = {
          "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
          "token.actions.githubusercontent.com:sub" = "repo:octo-org/meemit:environment:production"
        }
      }
    }
    error_message = "The role can be assumed by other subjects than jobs of this repository in this environment."
  }
  assert {
    condition     = aws_iam_openid_connect_provider.github[0].url == "https://token.actions.githubusercontent.com" && aws_iam_openid_connect_provider.github[0].client_id_list == toset(["sts.amazonaws.com"])
    error_message = "The identity provider is not GitHub's."
  }
}

run "repository_id_in_token" {
  command = plan

  variables {
    github_ids               = { owner = 123456, repository = 456789 }
    github_environment       = "live"
    github_oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
  }

  assert {
    condition     = one(jsondecode(aws_iam_role.deployer.assume_role_policy).Statement).Condition.StringEquals["token.actions.githubusercontent.com:sub"] == "repo:octo-org@123456/meemit@456789:environment:live"
    error_message = "The subject does not have the format with ids."
  }
  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0
    error_message = "The stack creates a second identity provider for GitHub, but an account can have only one."
  }
}

run "deployer_state" {
  command = plan

  assert {
    condition = {
      for statement in jsondecode(aws_iam_role_policy.deployer.policy).Statement : statement.Sid => [statement.Action, statement.Resource] if startswith(statement.Sid, "State")
      } == {
      State       = [["s3:GetObject", "s3:PutObject"], ["arn:aws:s3:::meemit-tofu-state/production/aws.tfstate", "arn:aws:s3:::meemit-tofu-state/production/aws.tfstate.tflock"]]
      StateUnlock = ["s3:DeleteObject", "arn:aws:s3:::meemit-tofu-state/production/aws.tfstate.tflock"]
      StatePlans  = [["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], "arn:aws:s3:::meemit-tofu-state/production/aws/*"]
      StateFind   = ["s3:ListBucket", "arn:aws:s3:::meemit-tofu-state"]
    }
    error_message = "The deployer has other permissions in the state bucket than those for its own state."
  }
}

# The provider tries these first since 6.23.
run "deployer_can_read_and_change_tags" {
  command = plan

  assert {
    condition = one([
      for statement in jsondecode(aws_iam_role_policy.deployer.policy).Statement : statement.Resource
      if length(setintersection(flatten([statement.Action]), ["s3:ListTagsForResource", "s3:TagResource", "s3:UntagResource"])) == 3
    ]) == "arn:aws:s3:::meemit-media"
    error_message = "The deployer cannot read and change the tags of the bucket, or of others too."
  }
}

run "deployer_is_limited_to_resources" {
  command = plan

  assert {
    condition = {
      for statement in jsondecode(aws_iam_role_policy.deployer.policy).Statement : statement.Sid => [statement.Action, statement.Resource] if contains(["OriginAccess", "ResponseHeaders"], statement.Sid)
      } == {
      OriginAccess    = ["cloudfront:GetOriginAccessControl", "arn:aws:cloudfront::123456789012:origin-access-control/E327GJI25M56DG"]
      ResponseHeaders = [["cloudfront:GetResponseHeadersPolicy", "cloudfront:UpdateResponseHeadersPolicy"], "arn:aws:cloudfront::123456789012:response-headers-policy/5cc3b908-e619-4b99-88e5-2cf7f45965bd"]
    }
    error_message = "The deployer can read or change other origin access controls or response headers policies."
  }
  # CloudFront has no resource-level permissions for these.
  assert {
    condition = toset(flatten([for statement in jsondecode(aws_iam_role_policy.deployer.policy).Statement : statement.Action if statement.Resource == "*"])) == toset([
      "cloudfront:GetPublicKey", "cloudfront:CreatePublicKey", "cloudfront:DeletePublicKey", "cloudfront:GetKeyGroup", "cloudfront:UpdateKeyGroup",
    ])
    error_message = "The deployer has other permissions for all resources than those for signing keys."
  }
}

run "deployer_cannot_change_permissions_or_delete_data" {
  command = plan

  assert {
    condition = alltrue([
      for action in flatten([for statement in jsondecode(aws_iam_role_policy.deployer.policy).Statement : statement.Action]) :
      !startswith(action, "iam:") || startswith(action, "iam:Get") || startswith(action, "iam:List")
    ])
    error_message = "The deployer can change IAM, and so give itself any permission."
  }
  assert {
    condition = length(setintersection(flatten([for statement in jsondecode(aws_iam_role_policy.deployer.policy).Statement : statement.Action]), [
      "s3:DeleteBucket", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock", "sqs:DeleteQueue", "sqs:PurgeQueue", "sqs:ReceiveMessage", "cloudfront:DeleteDistribution",
    ])) == 0
    error_message = "The deployer can delete data or make the bucket public."
  }
  assert {
    condition = !anytrue([
      for statement in jsondecode(aws_iam_role_policy.deployer.policy).Statement :
      anytrue([for action in flatten([statement.Action]) : strcontains(action, "Object")]) && anytrue([for resource in flatten([statement.Resource]) : strcontains(resource, "meemit-media")])
    ])
    error_message = "The deployer can read or change media."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.deployer.policy).Statement :
      statement.Resource != "*" || alltrue([for action in flatten([statement.Action]) : startswith(action, "cloudfront:")])
    ])
    error_message = "The deployer has permissions for all resources of the account."
  }
  assert {
    condition     = !anytrue([for action in flatten([for statement in jsondecode(aws_iam_role_policy.deployer.policy).Statement : statement.Action]) : endswith(action, ":*") || action == "*"])
    error_message = "The deployer has a wildcard action."
  }
}
