# figures.json: every figure by its name, and the goals. After goals.awk.
END {
	printf "{\n  \"figures\": {\n"
	for (i = 1; i <= figures; i++)
		printf "    \"%s\": { \"value\": %s, \"unit\": \"%s\" }%s\n", order[i], value[order[i]],
			unit[order[i]], i < figures ? "," : ""
	printf "  },\n  \"goals\": [\n"
	for (i = 1; i <= goals; i++)
		printf "    { \"goal\": \"%s\", \"figure\": \"%s\", \"relation\": \"%s\", \"limit\": %s, \"unit\": \"%s\", \"value\": %s, \"verdict\": \"%s\" }%s\n",
			goal_what[i], goal_name[i], goal_relation[i], goal_limit[i], goal_unit[i],
			goal_name[i] in value ? goal_value(i) : "null", goal_verdict(i), i < goals ? "," : ""
	printf "  ]\n}\n"
}
