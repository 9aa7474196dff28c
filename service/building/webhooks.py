"""Webhooks, built from the configuration."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from foundation.clock import Clock
from foundation.http import HttpClient
from foundation.metrics import Metrics
from outbox.webhooks.hooks import Hook
from outbox.webhooks.notifier import Webhooks
from outbox.webhooks.queue import Settled
from outbox.webhooks.sender import Tried, WebhookSender
from service.building.ground import Ground
from service.building.lookups import lookups_of
from service.building.user_agent import user_agent
from service.config import Config, Webhook
from views.telemetry.interface import TelemetryService
from views.telemetry.subjects import WebhookInfo

TIMEOUT_MS = 10_000
"""For one webhook, from the look-up of the name to the answer's end."""


@dataclass(frozen=True, slots=True)
class Posting:
    """What webhooks are posted through: also for whoever sends a test without a running service. Close it."""

    public: HttpClient
    private: HttpClient
    sender: WebhookSender

    async def close(self) -> None:
        await self.public.close()
        await self.private.close()


def hook_of(webhook: Webhook, *, private: bool) -> Hook:
    """``private``: receivers may be at private addresses anyway (``federation.allow_private_addresses``)."""
    previous = webhook.previous_secret
    return Hook(
        url=webhook.url,
        key=webhook.key,
        secret=webhook.secret.reveal(),
        previous_secret=None if previous is None else previous.reveal(),
        include=None if webhook.include is None else frozenset(webhook.include),
        exclude=frozenset(webhook.exclude),
        allow_private_addresses=webhook.allow_private_addresses or private,
        max_waiting=webhook.max_waiting,
        max_age_ms=webhook.max_age_ms,
    )


def hooks_of(config: Config) -> list[Hook]:
    private = config.federation.allow_private_addresses
    return [hook_of(webhook, private=private) for webhook in config.webhooks]


def posting(config: Config, clock: Clock, metrics: Metrics) -> Posting:
    agent = user_agent(str(config.instance.url))

    def client(name: str, *, private: bool) -> HttpClient:
        return HttpClient(
            clock,
            metrics,
            allow_private_addresses=private,
            allow_http=private or config.federation.allow_http,
            user_agent=agent,
            timeout_ms=TIMEOUT_MS,
            resolver=lookups_of(config, clock),
            name=name,
        )

    public, private = client("webhook", private=False), client("webhook_private", private=True)
    return Posting(public, private, WebhookSender(public, private, clock))


def telling(telemetry: TelemetryService) -> Callable[[Hook, Settled], None]:
    """Has telemetry write down what became of each webhook."""

    def processed(hook: Hook, settled: Settled) -> None:
        telemetry.webhook(
            WebhookInfo(
                settled.event,
                settled.event_id,
                settled.resource,
                hook.host,
                settled.outcome,
                queued_ms=settled.queued_ms,
                queue_time_ms=max(0, settled.at_ms - settled.queued_ms),
                sent_ms=settled.at_ms,
                attempts=settled.attempts,
                status=settled.status or 0,
                reason=settled.reason,
            )
        )

    return processed


async def try_hooks(config: Config, clock: Clock) -> list[tuple[Hook, Tried]]:
    """Sends every configured receiver a test event and says what came of it; needs no running service."""
    post = posting(config, clock, Metrics())
    try:
        return [(hook, await post.sender.test(hook)) for hook in hooks_of(config)]
    finally:
        await post.close()


def webhooks(ground: Ground, post: Posting) -> Webhooks:
    return Webhooks(
        hooks_of(ground.config),
        database=ground.database,
        sender=post.sender,
        clock=ground.clock,
        metrics=ground.metrics,
        random=random.random,
        may_deliver=lambda hook: ground.together.leases.holds(f"webhook {hook}"),
    )
