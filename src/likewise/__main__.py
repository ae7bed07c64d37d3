"""`python -m likewise`: the command line where the script `likewise` is not on the path."""

import sys

from likewise.cli import main

if __name__ == "__main__":
    sys.exit(main())
