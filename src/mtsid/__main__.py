"""`python -m mtsid`: the command line."""

import sys

from mtsid.cli import main

if __name__ == "__main__":
    sys.exit(main())
