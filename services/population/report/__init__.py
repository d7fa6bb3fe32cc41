"""What a committee reads of a population run, made from the files of the run alone."""
