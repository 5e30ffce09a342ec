"""Reads an export.zip with Python's zipfile, Google's protobuf and OpenSSL, and prints it as JSON.

read.py <export.zip> <public key in PEM>

The messages are described here again, from export.proto of google/exposure-notifications-server.
"""

import json
import subprocess
import sys
import tempfile
import zipfile

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

MESSAGES = {
    "SignatureInfo": [
        ("verification_key_version", 3, "STRING"),
        ("verification_key_id", 4, "STRING"),
        ("signature_algorithm", 5, "STRING"),
    ],
    "TemporaryExposureKey": [
        ("key_data", 1, "BYTES"),
        ("transmission_risk_level", 2, "INT32"),
        ("rolling_start_interval_number", 3, "INT32"),
        ("rolling_period", 4, "INT32"),
        ("report_type", 5, "INT32"),
        ("days_since_onset_of_symptoms", 6, "SINT32"),
        ("variant_of_concern", 8, "INT32"),
    ],
    "TemporaryExposureKeyExport": [
        ("start_timestamp", 1, "FIXED64"),
        ("end_timestamp", 2, "FIXED64"),
        ("region", 3, "STRING"),
        ("batch_num", 4, "INT32"),
        ("batch_size", 5, "INT32"),
        ("signature_infos", 6, "*SignatureInfo"),
        ("keys", 7, "*TemporaryExposureKey"),
        ("revised_keys", 8, "*TemporaryExposureKey"),
    ],
    "TEKSignature": [
        ("signature_info", 1, "SignatureInfo"),
        ("batch_num", 2, "INT32"),
        ("batch_size", 3, "INT32"),
        ("signature", 4, "BYTES"),
    ],
    "TEKSignatureList": [("signatures", 1, "*TEKSignature")],
}


def classes():
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="export.proto", package="export", syntax="proto2")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            label = kinds.LABEL_REPEATED if kind.startswith("*") else kinds.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            if kind.lstrip("*") in MESSAGES:
                added.type, added.type_name = kinds.TYPE_MESSAGE, ".export." + kind.lstrip("*")
            else:
                added.type = getattr(kinds, "TYPE_" + kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = {name: pool.FindMessageTypeByName("export." + name) for name in MESSAGES}
    return {name: message_factory.GetMessageClass(found[name]) for name in MESSAGES}


def is_signed(content, signature, public):
    with tempfile.NamedTemporaryFile() as file:
        file.write(signature)
        file.flush()
        command = ["openssl", "dgst", "-sha256", "-verify", public, "-signature", file.name]
        return subprocess.run(command, input=content, capture_output=True).returncode == 0


def main(path, public):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        content, signatures = archive.read("export.bin"), archive.read("export.sig")
    assert content[:16] == b"EK Export v1    "
    of = classes()
    export = of["TemporaryExposureKeyExport"].FromString(content[16:])
    listed = of["TEKSignatureList"].FromString(signatures)
    as_dict = lambda message: json_format.MessageToDict(message, preserving_proto_field_name=True)
    # Nothing in the bytes that the messages do not describe, and no other way to write them.
    assert export.SerializeToString(deterministic=True) == content[16:]
    assert listed.SerializeToString(deterministic=True) == signatures
    signed = [is_signed(content, one.signature, public) for one in listed.signatures]
    signatures = [as_dict(one) for one in listed.signatures]
    for one in signatures:
        del one["signature"]
    json.dump({"files": names, "export": as_dict(export), "signatures": signatures, "signed": signed}, sys.stdout)


main(*sys.argv[1:])
