"""Make pages that show on which words the evaluated models of RECIPE rely.

The pages hold text of the test split, so they are made only by this program and never by pipeline.py.
"""

from options import section_command

main = section_command(
    "attribution", __doc__, "launch/recipes/open_data.yaml --work work/open_data --set data=/path/to/data"
)

if __name__ == "__main__":
    main()
