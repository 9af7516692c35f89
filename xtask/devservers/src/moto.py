# moto's server, with what it lacks of Amazon's services.

import json
import os
import random
import string
import sys
import threading

from moto.core.exceptions import ServiceException
from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.route53.models import HostedZoneIdentifier, RecordSet
from moto.route53.responses import Route53
from moto.s3.models import FakeBucket
from moto.s3.responses import S3Response
from moto.server import DomainDispatcherApplication, main

# It answers in threads, and looks whether an object exists before it writes it: the lock makes a conditional write one step,
# as in S3.
lock, put_object = threading.Lock(), S3Response.put_object


def put_object_alone(self):
    with lock:
        return put_object(self)


S3Response.put_object = put_object_alone

# Its answer of a bucket that tells no queue of its objects has another root element than S3's.
get_bucket_notification = S3Response.get_bucket_notification


def notification_configuration(self):
    self.data["Action"] = "GetBucketNotificationConfiguration"
    return get_bucket_notification(self)


S3Response.get_bucket_notification = notification_configuration


# Route 53's ids begin with a Z (zones) or a C (changes).
def new_id(first, length):
    return first + "".join(random.choices(string.ascii_uppercase + string.digits, k=length))


HostedZoneIdentifier.generate = lambda self, existing_ids=None, tags=None: new_id("Z", 20)

# moto writes the value of a zone's SOA record as Python shows a dictionary.
def values(self):
    return [value if isinstance(value, dict) else {"Value": value} for value in self.records] or None


RecordSet.resource_records = property(values)

# A change has an id of its own. It is pending until it is asked for, and ids of no change are refused.
changes = {}


class NoSuchChange(ServiceException):
    def __init__(self, id):
        super().__init__("NoSuchChange", f"Could not find resource with ID: {id}")


def recorded(action):
    def call(self):
        answer = action(self)
        change = answer.result["ChangeInfo"]
        change["Id"], change["Status"] = f"/change/{new_id('C', 20)}", "PENDING"
        changes[change["Id"]] = dict(change, Status="INSYNC")
        return answer

    return call


for name in ["create_hosted_zone", "delete_hosted_zone", "change_resource_record_sets"]:
    setattr(Route53, name, recorded(getattr(Route53, name)))

get_change = Route53.get_change


def known_change(self):
    id = self._get_param("Id")
    answer, change = get_change(self), changes.get(f"/change/{id.removeprefix('/change/')}")
    if change is None:
        raise NoSuchChange(id)
    answer.result["ChangeInfo"] = change
    return answer


Route53.get_change = known_change

# It checks no signature. Where it has a secret path, it answers nothing else, and moto does not see that part of the path.
secret, answer = os.environ.get("MOTO_PATH"), DomainDispatcherApplication.__call__


def answer_those_who_know(self, environ, start_response):
    begin = f"/{secret}/"
    if not environ["PATH_INFO"].startswith(begin):
        start_response("403 Forbidden", [("Content-Length", "0")])
        return [b""]
    for name in ["PATH_INFO", "RAW_URI", "REQUEST_URI"]:
        environ[name] = environ[name][len(begin) - 1 :]
    return answer(self, environ, start_response)


# moto does not evaluate the conditions of a bucket's policy: it denies every action that a statement with a condition names, also where the
# statement allows it. A rehearsal's server, which has a secret path, ignores these statements, so that a service can use such a bucket.
def get_permission(self, action, resource):
    if self.policy is None:
        return PermissionResult.NEUTRAL
    policy = json.loads(self.policy)
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    policy["Statement"] = [statement for statement in statements if "Condition" not in statement]
    return IAMPolicy(json.dumps(policy)).is_action_permitted(action, resource)


if secret:
    DomainDispatcherApplication.__call__ = answer_those_who_know
    FakeBucket.get_permission = get_permission

# It ends with its standard input, so with the process that has started it, however that ends.
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
main(["--host", os.environ["MOTO_HOST"], "--port", "0"])
