"""Files."""

from __future__ import annotations

from provider.emulator import refusal
from provider.emulator.calls import Call, Reply
from provider.emulator.objects import FILE, shape
from provider.emulator.service import Service


def create_file(service: Service, call: Call) -> Reply:
    upload = call.upload
    if upload is None:
        raise refusal.invalid("Missing required parameter: 'file'.", "file", "missing_required_parameter")
    now = int(service.clock())
    file = shape(
        FILE,
        id=service.fresh_id(FILE),
        bytes=upload.size,
        created_at=now,
        filename=upload.filename,
        purpose=upload.purpose,
        status="processed",
    )
    if upload.lives is not None:
        file["expires_at"] = now + upload.lives
    record = service.store.put(file, label=upload.purpose, state={})
    service.store.contents.take(upload.arrived, record.id)
    return Reply(record.body)


def download_file(service: Service, call: Call) -> Reply:
    record = service.find(call.ids, FILE)
    return Reply(record.object["filename"], file=service.store.contents.of(record.id))
