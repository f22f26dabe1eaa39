# The entry point, and the end of the resident part: a watcher and the wrapper of an agent live for hours, and their
# shell reads the script only to here.

# Reads the arguments and calls the verb. Sets $nonce, $root, $shell, $account_umask and $name; $inherited to the names
# of the account's `GIT_` variables; $user_locale to its `LC_ALL`.
main() {
  verb=$1 nonce=$2 root=$3 shell=$4 account_umask=$5
  shift 5
  inherited=$(env | sed -n 's/^\(GIT_[A-Za-z0-9_]*\)=.*/\1/p')
  if [ "$verb" = task ]; then
    at_attempt "$1" "$2"
    name=$1
    shift 2
    run_task "$@"
    exit 0
  fi
  user_locale=${LC_ALL-}
  export LC_ALL=C
  unset HANDOFF_MARK
  case $verb in
    watch) run_watch "$@" ;;
    probe | ensure | poll | cancel | capture | artifacts | release | trees | instance) "run_$verb" ;;
    set-next) run_set_next ;;
    set-epoch) run_set_epoch ;;
    receive-pack) run_receive_pack ;;
    send-pack) run_send_pack ;;
    repair-cache) run_repair_cache ;;
    *) exit 2 ;;
  esac
}

case $1 in
  watch | task)
    main "$@"
    exit
    ;;
esac
