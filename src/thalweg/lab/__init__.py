"""The race: problems, tuning, running and the records that the report is drawn from."""
