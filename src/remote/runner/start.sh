# Starts any other verb. This is the last line of the script, so a file that was cut starts none.

main "$@"
