"""How ``fediviews sigtool`` is called."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Kept apart from the command, so that no other command loads what it needs."""
    parser.add_argument("action", choices=("canonicalize", "sign", "verify"), help="what to do with the request")
    parser.add_argument(
        "--scheme",
        choices=("cavage", "rfc9421"),
        help="how to sign (default: cavage); a signed request says itself how it is signed",
    )
    parser.add_argument("--key", type=Path, help="PEM file: private to sign, either half to verify")
    parser.add_argument("--key-id", default="", help="URL of the key, to sign")
    parser.add_argument("--covers", help="names to sign, separated by blanks (default: what the service signs)")
    parser.add_argument("--no-algorithm", action="store_true", help="sign without naming the algorithm")
    parser.add_argument("--now", help="instant to sign or verify at, as 2026-01-31T20:00:00Z or in Unix seconds")
    parser.add_argument("--origin", help="scheme and host of the receiver (default: https:// and Host)")
