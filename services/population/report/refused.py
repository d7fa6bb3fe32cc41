"""What ends the making of a report."""


class ReportRefused(Exception):
    """There is nothing to report on, or not as it was asked for: says what and why."""
