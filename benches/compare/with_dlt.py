"""What dlt is asked to do: `with_dlt.py BASE_URL FILE`. Its documented way from a REST API to SQLite: `rest_api`, the
`sqlalchemy` destination, rows merged by their key. Everything else is as dlt has it by default."""

import os
import sys
from pathlib import Path

base_url, file = sys.argv[1], Path(sys.argv[2]).resolve()
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "WARNING"

import dlt  # noqa: E402
from dlt.sources.rest_api import rest_api_source  # noqa: E402

source = rest_api_source(
    {
        "client": {
            "base_url": f"{base_url}/api/v2/",
            "headers": {"X-Api-Key": "bd-key"},
            # The provider's own paging: its last page has a token as well, the one after that holds no rows.
            "paginator": {
                "type": "cursor",
                "cursor_path": "next_page",
                "cursor_param": "page",
                "stop_after_empty_page": True,
            },
        },
        "resources": [
            {
                "name": "messages",
                "primary_key": "message_id",
                "write_disposition": "merge",
                "endpoint": {
                    "path": "chat_message_items/get",
                    "params": {"order_column": "message_id", "order_type": "ASC", "limit": 100},
                    "data_selector": "message",
                },
            }
        ],
    }
)
pipeline = dlt.pipeline(
    pipeline_name="compare",
    pipelines_dir=str(file.parent / "dlt"),
    destination=dlt.destinations.sqlalchemy(f"sqlite:///{file}"),
    dataset_name="main",
)
pipeline.run(source)
