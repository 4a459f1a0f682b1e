//! English, Portuguese, Spanish and German.

use super::lines::{Dialog, Tongue};

pub(super) const ENGLISH: Tongue = Tongue {
    first_names: &["Ada", "Owen", "Priya", "Marcus", "Fern", "Theo", "Imani", "Callum"],
    last_names: &["Quill", "Marsh", "Okafor", "Thistle", "Brandt", "Larkin", "Pell", "Voss"],
    shop: &[
        Dialog {
            title: "Order not arrived",
            exchanges: &[
                (
                    "Hi, my order {n} should have been here on Monday",
                    "Sorry about the wait! Let me look up order {n} 🔎",
                ),
                (
                    "It's a birthday present, so I'm a bit nervous",
                    "It left our warehouse yesterday and is due tomorrow before noon.",
                ),
                (
                    "Can I change the address?",
                    "Not any more, it's with the courier. You can ask them to leave it with a neighbour.",
                ),
            ],
        },
        Dialog {
            title: "Refund for a broken mug",
            exchanges: &[
                ("The blue mug came in 3 pieces 😢", "Oh no! I'm sorry. Could you tell me the order number?"),
                ("It's {n}", "Thank you. Would you like a new one, or your money back?"),
                (
                    "Money back please, 14.90 < 15 so no big deal",
                    "Done: 14.90 goes back to your card within 5 days & you keep the other mugs.",
                ),
            ],
        },
        Dialog {
            title: "Opening hours",
            exchanges: &[
                ("are you open on sunday?", "We are open Monday to Saturday, 9:00 to 18:30. Sundays we rest ☕"),
                ("And on bank holidays", "Closed too, except 24 December until 14:00."),
            ],
        },
    ],
    directory: &[
        Dialog {
            title: "Leaking tap",
            exchanges: &[
                (
                    "Hello, I found you in the directory. My kitchen tap leaks, do you do small jobs?",
                    "We do, gladly. Is it a mixer tap or two separate ones?",
                ),
                (
                    "A mixer, \"Rhine 200\" I think",
                    "I know that one. A new cartridge costs about 35 plus half an hour of work.",
                ),
                ("Sounds fair. When could you come?", "Thursday between 8 and 10, or Friday after 15:00 👩‍🔧"),
            ],
        },
        Dialog {
            title: "Wedding photos",
            exchanges: &[
                ("Are you free on 12 September for a wedding?", "Congratulations! Yes, that Saturday is still open."),
                (
                    "About 60 guests, ceremony at 2 & dinner after",
                    "Then I suggest eight hours. Packages & prices are on my page.",
                ),
                ("Great, I'll talk to my partner", "Take your time. I'll hold the date for a week."),
            ],
        },
    ],
    hand_over: ("I'd rather talk to a person", "Hi, I've read the conversation so far. Let me sort this out for you."),
    closing: &[
        ("Thank you so much! 🙏", "You're welcome. Have a lovely day!"),
        ("ok thx", "Any time 🙂"),
        ("One more thing: do you ship abroad?", "Yes, to 31 countries."),
    ],
};

pub(super) const PORTUGUESE: Tongue = Tongue {
    first_names: &["Júlia", "Caetano", "Marina", "Otávio", "Lívia", "Davi", "Conceição"],
    last_names: &["Sampaio", "Brandão", "Falcão", "Rezende", "Magalhães", "Teles"],
    shop: &[
        Dialog {
            title: "Segunda via do boleto",
            exchanges: &[
                (
                    "Oi, bom dia! Não recebi o boleto deste mês",
                    "Bom dia! 😊 Claro, já vou verificar. Pode me informar o número do pedido?",
                ),
                ("É o {n}", "Obrigada! Encontrei. O boleto vence dia 10 e acabei de enviar de novo para o seu e-mail."),
                ("chegou aqui, vc é rápida rs", "Que bom! Precisa de mais alguma coisa?"),
            ],
        },
        Dialog {
            title: "Troca de tamanho",
            exchanges: &[
                ("A camisa ficou pequena, dá pra trocar por G?", "Dá sim! Temos G em azul e em verde. Qual prefere?"),
                ("Azul 💙", "Perfeito. O código de postagem é {n}; a devolução é grátis."),
                ("E se eu quiser o dinheiro de volta?", "Também pode: em até 7 dias após o recebimento."),
            ],
        },
    ],
    directory: &[
        Dialog {
            title: "Aulas de violão",
            exchanges: &[
                ("Olá! Vocês dão aula de violão para criança?", "Olá! Damos, sim, a partir dos 7 anos."),
                ("Minha filha tem 8. Quanto custa?", "R$ 220 por mês, uma aula por semana. A primeira é cortesia 🎸"),
                ("Pode ser no sábado?", "Sábado às 10h ou às 11h. Qual fica melhor?"),
            ],
        },
        Dialog {
            title: "Orçamento de pintura",
            exchanges: &[
                ("Preciso pintar um apê de 65 m²", "Boa tarde! É só parede ou teto também?"),
                ("Parede & teto, tinta por minha conta", "Então fica em torno de R$ 2.400, em 4 dias."),
            ],
        },
    ],
    hand_over: (
        "quero falar com um atendente",
        "Olá! Aqui é do atendimento humano. Já li a conversa e vou resolver para você.",
    ),
    closing: &[
        ("Muito obrigado!", "Imagina, estamos à disposição! 🙌"),
        ("vlw", "Por nada 😉"),
        ("Entregam em Manaus?", "Entregamos, em até 9 dias úteis."),
    ],
};

pub(super) const SPANISH: Tongue = Tongue {
    first_names: &["Inés", "Álvaro", "Ximena", "Tomás", "Begoña", "Julián"],
    last_names: &["Quiroga", "Ibáñez", "Peñalver", "Ocampo", "Zúñiga"],
    shop: &[
        Dialog {
            title: "Contraseña olvidada",
            exchanges: &[
                ("No puedo entrar en mi cuenta 😩", "¡Hola! ¿Te sale algún mensaje de error?"),
                (
                    "Dice que la contraseña no es válida",
                    "Te acabo de mandar un enlace para cambiarla. Caduca en 30 minutos.",
                ),
                ("¡Ya está!", "¡Genial! 🎉"),
            ],
        },
        Dialog {
            title: "Factura con NIF",
            exchanges: &[
                ("Buenas, necesito la factura del pedido {n} con NIF", "Por supuesto. ¿A nombre de qué empresa?"),
                ("Taller Ocampo & Hijos, S. L.", "Listo, la tienes en tu correo y en «Mis pedidos»."),
                ("¿Y la del mes pasado?", "También la he añadido."),
            ],
        },
    ],
    directory: &[
        Dialog {
            title: "Revisión del coche",
            exchanges: &[
                (
                    "Hola, ¿hacen la revisión antes de la ITV?",
                    "Hola, sí. Para un utilitario son 49 € y tardamos una hora.",
                ),
                ("¿Mañana a primera hora?", "A las 8:15 tengo hueco. ¿Qué modelo es?"),
                ("Un utilitario del año 2016, gasolina", "Apuntado. Traiga la ficha técnica, por favor."),
            ],
        },
        Dialog {
            title: "Clases de cerámica",
            exchanges: &[
                ("¿Quedan plazas en el curso de torno?", "¡Quedan dos! Empieza el martes."),
                ("Me apunto 🏺", "¡Estupendo! Le envío los datos para la reserva."),
            ],
        },
    ],
    hand_over: (
        "¿Puedo hablar con una persona?",
        "Hola, soy del equipo de soporte. Ya he visto el caso, deme un minuto.",
    ),
    closing: &[
        ("Mil gracias", "¡A ti! Que tengas buen día ☀️"),
        ("vale", "Aquí estamos para lo que necesites."),
        ("¿Hacéis envíos a Canarias?", "Sí, en 5 o 6 días."),
    ],
};

pub(super) const GERMAN: Tongue = Tongue {
    first_names: &["Jörg", "Käthe", "Lennart", "Wiebke", "Özlem", "Friedrich"],
    last_names: &["Möller", "Strauß", "Achterberg", "Yıldız", "Grünewald"],
    shop: &[
        Dialog {
            title: "Rechnung fehlt",
            exchanges: &[
                (
                    "Guten Tag, zu Bestellung {n} fehlt mir die Rechnung.",
                    "Guten Tag! Ich schicke sie Ihnen sofort noch einmal per E-Mail.",
                ),
                ("Bitte mit ausgewiesener Umsatzsteuer", "Selbstverständlich, die 19 % stehen darauf."),
            ],
        },
        Dialog {
            title: "Größe und Farbe",
            exchanges: &[
                ("Gibt es die Jacke auch in Größe 46?", "Ja, in Moosgrün und Anthrazit. Beide sind vorrätig ✅"),
                ("Und wie fällt sie aus?", "Eher schmal. Zwischen zwei Größen lieber die größere wählen."),
                ("Straße & Hausnummer kann ich später ändern?", "Bis 16 Uhr am Bestelltag, ja."),
            ],
        },
    ],
    directory: &[Dialog {
        title: "Heizung entlüften",
        exchanges: &[
            ("Moin, unsere Heizung gluckert. Machen Sie auch Wartung?", "Moin! Ja. Gas oder Wärmepumpe?"),
            ("Gastherme, ungefähr 12 Jahre alt", "Dann schauen wir gleich den Druck mit an. 129 € pauschal."),
            ("Passt nächste Woche?", "Mittwoch um 7:30 Uhr wäre frei."),
        ],
    }],
    hand_over: (
        "Ich möchte bitte mit einem Menschen sprechen.",
        "Hallo, ich habe den Verlauf gelesen und kümmere mich darum.",
    ),
    closing: &[
        ("Danke schön!", "Sehr gern. Einen schönen Tag noch!"),
        ("Super 👍", "Freut mich!"),
        ("Liefern Sie auch nach Österreich?", "Ja, 2 bis 4 Werktage."),
    ],
};
