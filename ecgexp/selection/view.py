"""Our columns and charts in MLflow's own pages.

MLflow 3.17 keeps the views that its users share as tags of the experiment,
`mlflow.sharedViewState.<key>`, and shows one with `?viewStateShareKey=<key>`. The format is not
documented: it is what `mlflow/server/js/build` reads, and a test looks at the page in a browser.
"""

from __future__ import annotations

import json
import time
from typing import Any

from ecgexp.selection.figures import full_name

VIEW_KEY = "ecgexp"
TAG = f"mlflow.sharedViewState.{VIEW_KEY}"
_SECTION = "ecgexp-charts"
_BARS = ("instructions", "flash", "ram")
_MOST_RUNS = 100
# Room for a column's whole name.
_PX_FIXED, _PX_LETTER = 50, 7


def view_tags(columns: list[str], target: str) -> dict[str, str]:
    """Return the experiment tag that holds our view.

    Args:
        columns: Full names of the columns, in order.
        target: Target whose figures the charts show.
    """
    now_ms = int(time.time() * 1000)
    keys = [_column(name) for name in columns]
    state = {
        "searchFilter": "",
        "orderByKey": _column(full_name("f1", target)),
        "orderByAsc": False,
        "lifecycleFilter": "Active",
        "selectedColumns": keys,
        "columnOrder": keys,
        "columnWidths": {
            key: _PX_FIXED + _PX_LETTER * len(name) for key, name in zip(keys, columns, strict=True)
        },
        "runsHiddenMode": "SHOW_ALL",
        "isAccordionReordered": True,
        "compareRunSections": [
            {
                "uuid": _SECTION,
                "name": "ecgexp",
                "display": True,
                "isReordered": True,
                "columns": 2,
            }
        ],
        "compareRunCharts": _charts(target),
    }
    envelope = {
        "name": "ecgexp: quality and cost on the device",
        "createdAt": now_ms,
        "updatedAt": now_ms,
        "state": json.dumps(state, separators=(",", ":")),
    }
    return {TAG: json.dumps(envelope, separators=(",", ":"))}


def _column(name: str) -> str:
    if "/" in name:
        return f"metrics.`{name}`"
    return f"{'tags' if name.startswith(('ecgexp.', 'mlflow.')) else 'params'}.`{name}`"


def _charts(target: str) -> list[dict[str, Any]]:
    quality, cycles = full_name("f1", target), full_name("cycles", target)
    costs = [full_name(name, target) for name in ("int8_drop", "cycles", "flash", "ram")]
    charts = [
        _chart(
            "SCATTER",
            "F1 against estimated cycles",
            {
                "xaxis": {"key": cycles, "type": "METRIC"},
                "yaxis": {"key": quality, "type": "METRIC"},
            },
        ),
        _chart(
            "PARALLEL",
            "Quality and cost",
            {"selectedParams": [], "selectedMetrics": [*costs, quality], "showAllRuns": True},
        ),
    ]
    bars = [full_name(name, target) for name in _BARS]
    return [
        *charts,
        *(_chart("BAR", name.rpartition("/")[2], {"metricKey": name}) for name in bars),
    ]


def _chart(kind: str, title: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": kind,
        "uuid": f"ecgexp-{kind.lower()}-{title.partition(' ')[0].lower()}",
        "runsCountToCompare": _MOST_RUNS,
        "metricSectionId": _SECTION,
        "deleted": False,
        "isGenerated": False,
        "displayName": title,
        **fields,
    }
