"""The doctor: says what is wrong with a board, from its file alone.

Independent on purpose: it imports nothing of the product and reads with SQL of its own, so that a mistake the
product makes about a rule cannot hide here. Never writes, creates or repairs anything.

    for finding in doctor.check(path, schema_text): print(finding.rule, finding.subject, finding.sentence)

Read next: life.py and stories.py (events explain rows), rows.py (what rows must be).
"""

from orchestrator.doctor.file import check, check_connection
from orchestrator.doctor.rule import Finding

__all__ = ["Finding", "check", "check_connection"]
