"""The certificates of a command: which of the files cannot be used, and what is missing."""

import ssl
from pathlib import Path

from raftwerk.errors import UsageError


def context_of(ca_file: str, cert_file: str, key_file: str) -> ssl.SSLContext | None:
    """None when no file is named. Raises UsageError for files that cannot be used."""
    if not (ca_file or cert_file or key_file):
        return None
    if key_file and not cert_file:
        raise UsageError(f"--key {key_file} needs its certificate: --cert")
    for option, name in (("--cacert", ca_file), ("--cert", cert_file), ("--key", key_file)):
        if name:
            _check_readable(option, name)
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except ssl.SSLError as error:
        raise UsageError(f"--cacert {ca_file} holds no certificates in PEM: {error}") from error
    if cert_file:
        _load_own(context, cert_file, key_file)
    return context


def _check_readable(option: str, name: str) -> None:
    try:
        with Path(name).open("rb"):
            pass
    except OSError as error:
        raise UsageError(f"{option} {name} cannot be read: {error.strerror}") from error


def _load_own(context: ssl.SSLContext, cert_file: str, key_file: str) -> None:
    try:
        context.load_cert_chain(cert_file, key_file or None)
    except ssl.SSLError as error:
        if not _holds_certificate(cert_file):
            told = f"--cert {cert_file} holds no certificate in PEM: {error}"
        elif not key_file:
            told = f"--key is missing: --cert {cert_file} holds a certificate without its key"
        elif error.reason == "KEY_VALUES_MISMATCH":
            told = f"--key {key_file} is the key of another certificate than --cert {cert_file}"
        else:
            told = f"--key {key_file} holds no key in PEM: {error}"
        raise UsageError(told) from error


def _holds_certificate(name: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(name)
    except ssl.SSLError:
        return False
    return True
