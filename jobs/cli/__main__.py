"""`python -m jobs.cli`."""

from zoetrope import main

main()
