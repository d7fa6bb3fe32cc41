"""Ids of tokens that were used: none is good twice, for any worker or replica."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from cds_hooks.records.database import RecordsUnavailableError, get_writer
from cds_hooks.records.prepared_sql import PreparedInsert
from cds_hooks.records.spool import SpoolFallback
from cds_hooks.records.tables import seen_token
from cds_hooks.records.transactions import Transactions

# Tokens are remembered a while longer than they are good: replicas' clocks differ.
TOKEN_GRACE = timedelta(hours=1)


class UsedTokens:
    """Remembers tokens in the database; with a spool, on this machine too."""

    def __init__(self, transactions: Transactions, fallback: SpoolFallback) -> None:
        self._transactions = transactions
        self._fallback = fallback
        self._insert = PreparedInsert(seen_token, transactions.engine, once=True)

    def use(self, tenant: str, digest: str, until: datetime) -> bool:
        """Whether a token was never used before, by any worker or replica; now it was.

        `until`: when it has to be remembered no longer. Raises RecordsUnavailableError. A spool
        remembers for the workers of this machine, whether the database is down or not, and tells
        the other replicas when it is there again.
        """
        is_new_here = self._use_here(tenant, digest, until)
        if is_new_here is False:
            return False
        row = {"tenant": tenant, "digest": digest, "until": until}
        try:
            with self._fallback.back_off():
                return self.insert(row)
        except RecordsUnavailableError as error:
            if is_new_here is None:
                raise
            self._fallback.write({"kind": "token", "row": row}, error)
            return True

    def _use_here(self, tenant: str, digest: str, until: datetime) -> bool | None:
        """Whether it is new to this machine's spool; None where the spool cannot tell."""
        spool = self._fallback.spool
        if spool is None:
            return None
        try:
            return spool.use_token(tenant, digest, until)
        except OSError:
            return None

    def insert(self, row: Mapping[str, Any]) -> bool:
        """Whether the row of `seen_token` is new. Raises RecordsUnavailableError."""
        with self._transactions.begin() as cursor:
            return self._insert.run(cursor, row)

    def is_used(self, tenant: str, digest: str) -> bool:
        """Whether the database has the token as used. Raises RecordsUnavailableError."""
        row = select(seen_token.c.until).where(
            seen_token.c.tenant == tenant, seen_token.c.digest == digest
        )
        transactions = self._transactions
        transactions.reset_after_fork()
        with transactions.guard("read"), transactions.engine.connect() as connection:
            return connection.execute(row).first() is not None

    def forget(self, before: datetime) -> None:
        """Drops tokens that ended before `before`. Raises RecordsUnavailableError."""
        transactions = self._transactions
        with (
            transactions.guard("tidy"),
            transactions.take_turn(),
            get_writer(transactions.engine).begin() as connection,
        ):
            connection.execute(seen_token.delete().where(seen_token.c.until < before))
