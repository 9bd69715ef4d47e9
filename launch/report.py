"""Write the report of RECIPE (HTML, Markdown, and its tables as CSV) from the finished stages in the work folder."""

from options import run_or_preview, stage_command


@stage_command(__doc__, "python launch/report.py launch/recipes/demo.yaml --work work/demo")
def main(recipe, work, dry_run):
    run_or_preview("report", recipe, None, work, dry_run)


if __name__ == "__main__":
    main()
