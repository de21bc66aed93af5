import sys

from growsearch.cli import main

sys.exit(main())
