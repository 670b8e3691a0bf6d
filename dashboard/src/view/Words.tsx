// Text whose words stay whole: a browser breaks lines at the hyphens of names and options, too.

export function Words(props: { text: string }) {
  return (
    <>
      {props.text.split(' ').flatMap((word, index) => [
        index === 0 ? '' : ' ',
        word.includes('-') ? (
          <span key={index} class="word">
            {word}
          </span>
        ) : (
          word
        ),
      ])}
    </>
  );
}
